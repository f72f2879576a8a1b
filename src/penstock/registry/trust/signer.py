"""Signs versions as they are registered, with this penstock's own key, on a thread of its own."""

import logging
import queue
import socket
import threading
from pathlib import Path

from penstock.core.errors import PenstockError
from penstock.core.identity import Actor, Role
from penstock.core.ids import Digest
from penstock.registry.lookup import Moment
from penstock.registry.service import RegistryService
from penstock.registry.signing.bundle import sign
from penstock.registry.signing.keys import open_own_key
from penstock.registry.signing.manifest import read_tree
from penstock.registry.trust.service import TrustService
from penstock.registry.types import ModelVersion
from penstock.storage.database import Database
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.transaction import Transaction

log = logging.getLogger(__name__)

SIGNER = Actor("signer", Role.CONTRIBUTOR)


class OwnSigner:
    """Watches what is registered. A version that a stop left unsigned is signed by `penstock models sign`.

    Args:
        db: where signatures are kept.
        registry: where versions are registered, and promoted: one from before this penstock had a key is signed then.
        trust: where signatures are kept.
        objects: where the files are.
        home: where the key is.
    """

    def __init__(
        self, db: Database, registry: RegistryService, trust: TrustService, objects: ObjectStore, home: Path
    ) -> None:
        self._db = db
        self._trust = trust
        self._objects = objects
        self._home = home
        self._waiting: queue.SimpleQueue[tuple[Digest, str] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        registry.check_with(self._see)

    def close(self) -> None:
        """Sign what waits, and end the thread; called before the database is closed."""
        self._waiting.put(None)
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _see(self, tx: Transaction, version: ModelVersion, moment: Moment) -> None:
        """Note a version; a signature is of its files, and does no harm where the transaction comes to nothing."""
        if version.tree is None:
            return
        self._waiting.put((version.tree, version.model))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="penstock-signer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            tree, name = item
            try:
                self._sign(tree, name)
            except PenstockError as error:
                log.warning("a version is not signed: %s", error, extra={"tree": tree})
            except Exception:  # the outermost loop of this thread
                log.exception("a version is not signed", extra={"tree": tree})

    def _sign(self, tree: Digest, name: str) -> None:
        if self._trust.get_standing(tree).signatures:
            return  # somebody has vouched for it already
        key = open_own_key(self._home)
        text = sign(read_tree(self._objects, tree, name), key)
        place = f"penstock on {socket.gethostname()}"
        self._db.submit(lambda tx: self._trust.record_own(tx, tree, text, key.public, place), actor=SIGNER).result()

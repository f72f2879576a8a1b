"""What was said of models, kept beside a gateway: one that restarts while its server is away serves on with it."""

import logging
from collections.abc import Callable
from pathlib import Path

from penstock.core import codec
from penstock.core.errors import InvalidInputError, UnavailableError
from penstock.core.ids import Digest, new_id
from penstock.registry.trust.types import Standing
from penstock.storage.objects.format import parse_digest

log = logging.getLogger(__name__)


class RememberedStandings:
    """Asks, and keeps the last answer for the time when nobody answers. Several processes may share a folder.

    Args:
        ask: `TrustService.get_standing` at the other end of a connection.
        folder: where answers are kept; only its owner may write there, as whoever can decides what is trusted.
    """

    def __init__(self, ask: Callable[[Digest], Standing], folder: Path) -> None:
        self._ask = ask
        self._folder = folder

    def __call__(self, tree: Digest) -> Standing:
        """What is to be known of a model directory.

        Raises:
            UnavailableError: nobody answers, and nobody ever has.
        """
        parse_digest(tree)  # it names a file here
        path = self._folder / f"{tree}.json"
        try:
            standing = self._ask(tree)
        except UnavailableError:
            try:
                kept = codec.decode(path.read_bytes(), Standing)
            except (OSError, InvalidInputError):
                kept = None
            if kept is None:
                raise
            log.warning("the server is away; what it said of a model before counts on", extra={"tree": tree})
            return kept
        self._keep(path, codec.encode(standing))
        return standing

    def _keep(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_suffix(f".{new_id()}.partial")
        partial.write_bytes(content)
        partial.replace(path)

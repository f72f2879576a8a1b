"""The tokens and sessions that are good just now, in memory: a server is asked about them with every request."""

import hmac
import logging
import time
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from msgspec import Struct

from penstock.core.identity import Actor, Role
from penstock.governance.tokens.service import TokenService
from penstock.governance.tokens.store import TokenStore
from penstock.governance.tokens.text import digest_of, id_of
from penstock.storage.transaction import Transaction

log = logging.getLogger(__name__)
NOTED_EVERY_S = 60.0
SERVER_TOKEN = ""  # what stands for the server's own token where a session names the token behind it
_NO_DIGEST = bytes(32)


class _Entry(Struct, frozen=True):
    actor: Actor
    digest: bytes
    expires_at: datetime | None


class TokenBook:
    """What was read last of tokens and sessions; `read` has to be called again and again.

    Attributes:
        read_at: when it was read, on `time.monotonic`; 0.0 before the first time.
        knows_any: whether a token was ever made here; from then on everybody has to show one.
    """

    def __init__(self, service: TokenService) -> None:
        self._service = service
        self._store = TokenStore()
        self._entries: dict[str, _Entry] = {}
        self._sessions: dict[bytes, str] = {}
        self._noted: dict[str, float] = {}
        self.read_at = 0.0
        self.knows_any = False

    def read(self) -> None:
        """Read what is good now."""
        started = time.monotonic()
        self._service.db.read(self._read)
        self.read_at = started

    def find(self, text: str) -> Actor | None:
        """Who shows this token; None when it is not good."""
        token_id = id_of(text)
        entry = self._entries.get(token_id)
        # An unknown id takes as long as a known one with another secret.
        is_right = hmac.compare_digest(digest_of(text), entry.digest if entry else _NO_DIGEST)
        if entry is None or not is_right or self._is_over(entry):
            return None
        self._note(token_id)
        return entry.actor

    def find_token_id(self, text: str) -> str | None:
        """The id of a token that is good."""
        return id_of(text) if self.find(text) is not None else None

    def find_session(self, cookie: str) -> Actor | str | None:
        """Who is behind a browser's cookie; `SERVER_TOKEN` when that is whoever knows the server's own token."""
        token_id = self._sessions.get(digest_of(cookie))
        if token_id is None or token_id == SERVER_TOKEN:
            return token_id
        entry = self._entries.get(token_id)
        return None if entry is None or self._is_over(entry) else entry.actor

    def _read(self, tx: Transaction) -> None:
        tokens = self._store.list_all(tx)
        digests = self._store.list_digests(tx)
        self._entries = {
            token.id: _Entry(Actor(token.name, Role[token.role.upper()]), digests[token.id], token.expires_at)
            for token in tokens
            if token.id in digests
        }
        self._sessions = self._store.list_sessions(tx)
        self.knows_any = bool(tokens)

    def _is_over(self, entry: _Entry) -> bool:
        return entry.expires_at is not None and entry.expires_at <= self._service.db.clock.now()

    def _note(self, token_id: str) -> None:
        """Have the use written down, once a minute, without waiting for it."""
        now = time.monotonic()
        if now - self._noted.get(token_id, -NOTED_EVERY_S) >= NOTED_EVERY_S:
            self._noted[token_id] = now
            written: Future[Any] = self._service.db.submit(lambda tx: self._service.note_use.join(tx, token_id))
            written.add_done_callback(_tell_failure)


def _tell_failure(written: "Future[Any]") -> None:
    error = written.exception()
    if error is not None:
        log.warning("the use of a token could not be written down: %s", error)

"""The SQL of tokens and sessions; a query per method."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from penstock.governance.tokens.tables import sessions, tokens
from penstock.governance.tokens.types import Token
from penstock.storage.transaction import Transaction

_SHOWN = [tokens.c[name] for name in Token.__struct_fields__]


class TokenStore:
    """Keeps tokens and sessions."""

    def add(self, tx: Transaction, token: Token, digest: str) -> None:
        """A new token."""
        row = {name: getattr(token, name) for name in Token.__struct_fields__}
        tx.execute(insert(tokens).values(**row, digest=digest))

    def find_live(self, tx: Transaction, name: str) -> Token | None:
        """The token of this name, or with this id, that was not revoked."""
        query = select(*_SHOWN).where((tokens.c.name == name) | (tokens.c.id == name), tokens.c.revoked_at.is_(None))
        row = tx.execute(query).first()
        return _token(row) if row else None

    def list_all(self, tx: Transaction) -> list[Token]:
        """Every token there ever was, the newest first."""
        return [_token(row) for row in tx.execute(select(*_SHOWN).order_by(tokens.c.created_at.desc(), tokens.c.id))]

    def list_digests(self, tx: Transaction) -> dict[str, bytes]:
        """What is kept of the secrets of those that were not revoked, by id."""
        query = select(tokens.c.id, tokens.c.digest).where(tokens.c.revoked_at.is_(None))
        return {row.id: bytes.fromhex(row.digest) for row in tx.execute(query)}

    def revoke(self, tx: Transaction, token_id: str) -> None:
        """From now on it opens nothing, nor do the sessions that it opened."""
        tx.execute(update(tokens).where(tokens.c.id == token_id).values(revoked_at=tx.now))
        tx.execute(delete(sessions).where(sessions.c.token == token_id))

    def note_use(self, tx: Transaction, token_id: str) -> None:
        """It was shown just now."""
        tx.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=tx.now))

    def add_session(self, tx: Transaction, digest: str, token_id: str, expires_at: datetime) -> None:
        """A browser signed in; the sessions that ended go."""
        tx.execute(delete(sessions).where(sessions.c.expires_at < tx.now))
        row = {"digest": digest, "token": token_id, "created_at": tx.now, "expires_at": expires_at}
        tx.execute(insert(sessions).values(**row))

    def remove_session(self, tx: Transaction, digest: str) -> None:
        """A browser signed out."""
        tx.execute(delete(sessions).where(sessions.c.digest == digest))

    def list_sessions(self, tx: Transaction) -> dict[bytes, str]:
        """The ids of the tokens behind the sessions, by what is kept of the cookie."""
        query = select(sessions.c.digest, sessions.c.token).where(sessions.c.expires_at > tx.now)
        return {bytes.fromhex(row.digest): row.token for row in tx.execute(query)}


def _token(row: Any) -> Token:
    return Token(**{name: getattr(row, name) for name in Token.__struct_fields__})

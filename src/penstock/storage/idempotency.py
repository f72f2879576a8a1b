"""Idempotency keys: a call that is repeated with its key gets the first answer again and changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from blake3 import blake3
from sqlalchemy import Column, String, Table, Text, delete, insert, select

from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.storage.columns import UtcTime, metadata
from penstock.storage.transaction import Transaction

R = TypeVar("R")
KEY_LIMIT = 200  # characters
KEPT_FOR = timedelta(days=7)  # longer than anyone goes on repeating a call

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(KEY_LIMIT), primary_key=True),
    Column("scope", String(200), nullable=False),
    Column("arguments_digest", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False, index=True),
)


def answer_once(
    tx: Transaction, *, key: str, scope: str, arguments: dict[str, Any], work: Callable[[Transaction], R], returns: Any
) -> R:
    """The answer of the first call with this key, or of `work` when there was none.

    Raises:
        ConflictError: the key was used before for something else.
        InvalidInputError: the key is too long.
    """
    if len(key) > KEY_LIMIT:
        raise InvalidInputError(
            f"an idempotency key of {len(key)} characters is too long", hint=f"use up to {KEY_LIMIT}"
        )
    digest = blake3(codec.encode(arguments)).hexdigest()
    known = tx.execute(select(idempotency_keys).where(idempotency_keys.c.key == key)).one_or_none()
    if known is not None:
        if (known.scope, known.arguments_digest) != (scope, digest):
            raise ConflictError(f"idempotency key {key!r} was used before for another call", hint="use a new key")
        answer: R = msgspec.json.decode(known.answer, type=returns)
        return answer
    result = work(tx)
    tx.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < tx.now - KEPT_FOR))
    row = {"key": key, "scope": scope, "arguments_digest": digest, "answer": codec.encode_text(result)}
    tx.execute(insert(idempotency_keys).values(**row, created_at=tx.now))
    return result

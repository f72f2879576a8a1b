"""Idempotency keys: kept as long as anyone may repeat a call, and no longer."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError
from penstock.storage.idempotency import answer_once, idempotency_keys
from penstock.storage.transaction import Transaction


def _count(tx: Transaction) -> int:
    return tx.execute(select(func.count()).select_from(idempotency_keys)).scalar_one()


def test_a_repeated_key_gives_the_first_answer(tmp_path: Path) -> None:
    db = open_database(tmp_path)
    answers = iter([1, 2])
    call = partial(answer_once, key="k", scope="s", arguments={"a": 1}, work=lambda tx: next(answers), returns=int)
    assert [db.write(call), db.write(call)] == [1, 1]
    with pytest.raises(ConflictError, match="used before"):
        db.write(answer_once, key="k", scope="s", arguments={"a": 2}, work=lambda tx: 3, returns=int)
    db.close()


def test_old_keys_are_forgotten(tmp_path: Path) -> None:
    clock = ManualClock()
    db = open_database(tmp_path, clock)
    for key in ("old", "older"):
        db.write(answer_once, key=key, scope="s", arguments={}, work=lambda tx: None, returns=None)
    clock.advance(days=8)
    db.write(answer_once, key="new", scope="s", arguments={}, work=lambda tx: None, returns=None)
    assert db.read(_count) == 1
    db.close()

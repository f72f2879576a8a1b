"""What holds for every test: nothing it opened stays open; and what was recorded in a test's `db`."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from factories import OPENED
from penstock.core.events import Edge, Entry
from penstock.storage.database import Database

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")
os.environ.pop("COLUMNS", None)  # the terminal of whoever runs the tests is none of theirs


@pytest.fixture(autouse=True)
def _databases_are_closed() -> Iterator[None]:
    before = len(OPENED)
    yield
    while len(OPENED) > before:
        OPENED.pop().close()


@pytest.fixture
def entries(db: Database) -> list[Entry]:
    """The audit entries of all that is written from now on."""
    kept: list[Entry] = []
    db.on_group(lambda connection, now, done: kept.extend(entry for tx in done for entry in tx.entries))
    return kept


@pytest.fixture
def edges(db: Database) -> list[Edge]:
    """The lineage edges of all that is written from now on."""
    kept: list[Edge] = []
    db.on_group(lambda connection, now, done: kept.extend(edge for tx in done for edge in tx.edges))
    return kept

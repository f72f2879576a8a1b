"""What goes into a table comes out the same: moments to the microsecond, records, text and numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from sqlalchemy import Column, Connection, Float, Integer, MetaData, Table, Text, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.schema import CreateTable

from factories import open_database
from penstock.core.ids import Digest, Ref
from penstock.storage.columns import Json, UtcTime, from_microseconds, ordered_text, to_microseconds
from penstock.storage.database import Database
from penstock.storage.references import drop_objects, keep_objects, list_kept
from penstock.storage.rows import from_row, to_row

tables = MetaData()  # of its own: the shared one is compared with the migrations
things = Table(
    "things",
    tables,
    Column("number", Integer, primary_key=True),
    Column("text", Text),
    Column("share", Float),
    Column("at", UtcTime),
    Column("tags", Json),
    Column("about", Json),
    Column("later", Text),  # a column that the record does not know
)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda moment: moment.replace(tzinfo=UTC))


class Thing(Struct, frozen=True):
    number: int
    text: str
    share: float | None = None
    at: datetime | None = None
    tags: dict[str, str] = {}
    about: Ref | None = None


def open_with_tables(folder: Path) -> Database:
    db = open_database(folder)
    db.write(lambda tx: tables.create_all(tx.connection))
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_with_tables(tmp_path)
    yield opened
    opened.close()


@contextmanager
def thrown_away(db: Database) -> Iterator[Connection]:
    with db.engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@given(MOMENTS)
def test_a_moment_survives_to_the_microsecond(moment: datetime) -> None:
    assert from_microseconds(to_microseconds(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_moments_sort_as_their_numbers_do(first: datetime, second: datetime) -> None:
    assert (first < second) == (to_microseconds(first) < to_microseconds(second))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(
        Thing,
        number=st.just(1),
        text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        share=st.none() | st.floats(allow_nan=False),
        at=st.none() | MOMENTS,
        tags=st.dictionaries(st.text(), st.text(), max_size=3),
        about=st.none() | st.builds(Ref, kind=st.text("abc-", min_size=1), id=st.text(min_size=1, max_size=99)),
    )
)
def test_a_record_comes_back_as_it_went_in(db: Database, thing: Thing) -> None:
    with thrown_away(db) as connection:
        connection.execute(insert(things).values(to_row(thing)))
        assert from_row(Thing, connection.execute(select(things)).one()) == thing


def test_a_moment_of_another_zone_is_kept_as_the_same_moment(db: Database) -> None:
    noon_in_delhi = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with thrown_away(db) as connection:
        connection.execute(insert(things).values(number=1, at=noon_in_delhi))
        kept = connection.execute(select(things.c.at)).scalar_one()
    assert kept == noon_in_delhi
    assert kept.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(db: Database) -> None:
    with db.snapshot() as tx, pytest.raises(StatementError, match="naive"):
        tx.execute(insert(things).values(number=1, at=datetime(2026, 1, 1)))


def test_an_object_is_kept_until_its_owner_lets_go(db: Database) -> None:
    one, two = Digest("1" * 64), Digest("2" * 64)
    version, run = Ref("model-version", "churn/1"), Ref("run", "r1")
    db.write(keep_objects, version, [one, two])
    db.write(keep_objects, version, [one])
    db.write(keep_objects, run, [one])
    assert sorted(db.read(list_kept)) == [(version, one), (version, two), (run, one)]
    db.write(drop_objects, version)
    assert db.read(list_kept) == [(run, one)]


def test_an_ordered_text_is_ordered_alike_whatever_the_language_of_the_database() -> None:
    table = Table("named", MetaData(), Column("name", ordered_text(250)), Column("text", ordered_text()))
    on_postgres = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert on_postgres.count('COLLATE "C"') == 2
    assert "COLLATE" not in str(CreateTable(table).compile(dialect=sqlite.dialect()))

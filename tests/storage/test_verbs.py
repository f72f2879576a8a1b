"""Verbs run in a transaction of their own, join an open one, or run for an actor with a key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

from factories import TESTER, open_database
from patience import PATIENCE_S
from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.identity import Actor, Role
from penstock.core.ids import Ref
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes

tables = MetaData()  # of its own: the shared one is compared with the migrations
wells = Table("wells", tables, Column("name", String(50), primary_key=True), Column("level", Integer, nullable=False))
ANA = Actor("ana", Role.CONTRIBUTOR)


class Well(Struct, frozen=True):
    name: str
    level: int = 0


class WellService:
    noun = "wells"

    def __init__(self, db: Database) -> None:
        self.db = db

    @writes
    def dig(self, tx: Transaction, name: str, level: int = 0) -> Well:
        """Dig a well."""
        well = Well(name, level)
        tx.execute(insert(wells).values(to_row(well)))
        return well

    @writes
    def fill(self, tx: Transaction, name: str, by: int) -> Well:
        """Raise the level, and say so in words of its own."""
        well = self.get.join(tx, name)
        tx.execute(update(wells).where(wells.c.name == name).values(level=well.level + by))
        tx.record("wells.fill", Ref("well", name), before=well.level, after=well.level + by)
        return Well(name, well.level + by)

    @writes
    def dig_two(self, tx: Transaction, first: str, second: str) -> list[Well]:
        """Both or none."""
        return [self.dig.join(tx, first), self.dig.join(tx, second)]

    @logs
    def measure(self, tx: Transaction, name: str) -> None:
        """A fact, not a change."""
        self.get.join(tx, name)

    @reads
    def get(self, tx: Transaction, name: str) -> Well:
        """One well."""
        row = tx.execute(select(wells).where(wells.c.name == name)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no well {name!r}")
        return from_row(Well, row)

    @reads
    def who_asks(self, tx: Transaction) -> str:
        """The actor's name."""
        return tx.actor.name


class Heard(list[tuple[str, str, dict[str, object]]]):
    """The audit entries in the order of their commits."""


def open_with_tables(folder: Path) -> Database:
    db = open_database(folder)
    db.write(lambda tx: tables.create_all(tx.connection))
    return db


@pytest.fixture
def service(tmp_path: Path) -> Iterator[WellService]:
    db = open_with_tables(tmp_path)
    yield WellService(db)
    db.close()


@pytest.fixture
def heard(service: WellService) -> Heard:
    entries = Heard()
    service.db.on_group(
        lambda connection, now, transactions: entries.extend(
            (tx.actor.name, entry.action, entry.detail) for tx in transactions for entry in tx.entries
        )
    )
    return entries


def test_a_verb_runs_in_a_transaction_of_its_own(service: WellService) -> None:
    assert service.dig("north", level=2) == Well("north", 2)
    assert service.get("north") == Well("north", 2)


def test_a_verb_may_join_a_transaction_that_is_open(service: WellService) -> None:
    service.dig("south")
    with pytest.raises(Exception, match=r"UNIQUE|duplicate key"):
        service.dig_two("north", "south")
    with pytest.raises(NotFoundError):
        service.get("north")
    assert service.dig_two("north", "east") == [Well("north"), Well("east")]


def test_a_change_that_says_nothing_is_audited_with_its_arguments(service: WellService, heard: Heard) -> None:
    service.dig("north", level=3)
    assert heard == [("tester", "wells.dig", {"name": "north", "level": 3})]


def test_a_change_that_speaks_for_itself_is_audited_once(service: WellService, heard: Heard) -> None:
    service.dig("north", 1)
    service.fill("north", by=4)
    assert heard[1:] == [("tester", "wells.fill", {"before": 1, "after": 5})]


def test_facts_and_reads_are_not_audited(service: WellService, heard: Heard) -> None:
    service.dig("north")
    service.measure("north")
    service.get("north")
    assert len(heard) == 1


def test_a_verb_runs_for_the_actor_who_asked(service: WellService, heard: Heard) -> None:
    verb = service.dig
    verb.run_as(ANA, verb.verb.arguments(name="north", level=1)).result(PATIENCE_S)
    assert heard == [("ana", "wells.dig", {"name": "north", "level": 1})]
    assert service.who_asks.run_as(ANA, service.who_asks.verb.arguments()).result(0) == "ana"
    assert service.who_asks() == TESTER.name


def test_a_request_is_decoded_by_the_verbs_own_signature() -> None:
    arguments = WellService.dig.arguments
    assert to_row(codec.decode('{"name": "north"}', arguments)) == {"name": "north", "level": 0}
    assert WellService.dig.returns is Well
    assert (WellService.dig.name, WellService.dig.doc) == ("dig", "Dig a well.")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [("{}", "name"), ('{"name": 5}', "expected `str`"), ('{"name": "a", "leve": 1}', "did you mean 'level'?")],
)
def test_a_request_that_does_not_fit_the_verb_is_refused(body: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint.replace("?", r"\?")):
        codec.decode(body, WellService.dig.arguments)


def test_a_repeated_call_with_its_key_counts_once(service: WellService, heard: Heard) -> None:
    service.dig("north")
    fill = service.fill
    arguments = fill.verb.arguments(name="north", by=2)
    answers = [fill.run_as(ANA, arguments, key="k1").result(PATIENCE_S) for _ in range(3)]
    assert answers == [Well("north", 2)] * 3
    assert service.get("north") == Well("north", 2)
    assert [action for _, action, _ in heard] == ["wells.dig", "wells.fill"]


def test_two_calls_with_one_key_in_one_group_count_once(service: WellService) -> None:
    service.dig("north")
    fill = service.fill
    arguments = fill.verb.arguments(name="north", by=2)
    waiting = [fill.run_as(ANA, arguments, key="k1") for _ in range(20)]
    assert {future.result(PATIENCE_S) for future in waiting} == {Well("north", 2)}


def test_a_key_used_for_something_else_is_refused(service: WellService) -> None:
    service.dig("north")
    fill = service.fill
    fill.run_as(ANA, fill.verb.arguments(name="north", by=2), key="k1").result(PATIENCE_S)
    with pytest.raises(ConflictError, match="used before"):
        fill.run_as(ANA, fill.verb.arguments(name="north", by=3), key="k1").result(PATIENCE_S)
    with pytest.raises(ConflictError, match="used before"):
        service.dig.run_as(ANA, service.dig.verb.arguments(name="x"), key="k1").result(PATIENCE_S)


def test_a_failed_call_does_not_use_up_its_key(service: WellService) -> None:
    fill = service.fill
    arguments = fill.verb.arguments(name="north", by=2)
    with pytest.raises(NotFoundError):
        fill.run_as(ANA, arguments, key="k1").result(PATIENCE_S)
    service.dig("north")
    assert fill.run_as(ANA, arguments, key="k1").result(PATIENCE_S) == Well("north", 2)


def test_a_key_is_remembered_by_the_next_process(service: WellService, tmp_path: Path) -> None:
    service.dig.run_as(ANA, service.dig.verb.arguments(name="north"), key="k1").result(PATIENCE_S)
    service.db.close()
    later = WellService(open_with_tables(tmp_path))
    assert later.dig.run_as(ANA, later.dig.verb.arguments(name="north"), key="k1").result(PATIENCE_S) == Well("north")
    later.db.close()

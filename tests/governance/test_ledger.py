"""The audit chain and the lineage graph: whatever is changed behind the ledger's back is found."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from factories import open_database
from patience import wait_until
from penstock.core.ids import Ref
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.ledger import FIRST_PREVIOUS, Ledger, chain_digest
from penstock.governance.service import GovernanceService
from penstock.governance.tables import audit_events
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction


def _change(tx: Transaction, name: str) -> None:
    tx.record("test.change", Ref("thing", name), name=name, size=3.5)
    tx.link(Ref("thing", name), Ref("thing", name + "'"), "made")


@pytest.fixture
def db(tmp_path: Path) -> Any:
    db = open_database(tmp_path)
    Ledger(db, CheckpointLog(tmp_path))
    yield db
    db.close()


@pytest.fixture
def service(db: Database, tmp_path: Path) -> GovernanceService:
    service = GovernanceService(db, CheckpointLog(tmp_path))
    for name in "abcdef":
        db.write(_change, name)
    return service


def _edit(db: Database, number: int, **values: Any) -> None:
    with db.engine.begin() as connection:
        connection.execute(update(audit_events).where(audit_events.c.number == number).values(**values))


def test_an_untouched_chain_is_whole(service: GovernanceService) -> None:
    report = service.verify_audit()
    assert report.is_whole
    assert (report.events, report.checkpoints) == (6, 6)


@pytest.mark.parametrize(
    "values",
    [
        {"actor": "mallory"},
        {"action": "test.chance"},
        {"subject_id": "z"},
        {"subject_kind": "other"},
        {"detail": {"name": "c", "size": 3.6}},
        {"previous": FIRST_PREVIOUS},
        {"digest": FIRST_PREVIOUS},
    ],
)
def test_an_edited_field_is_found(db: Database, service: GovernanceService, values: dict[str, Any]) -> None:
    _edit(db, 3, **values)
    assert any("event 3" in problem or "event 4" in problem for problem in service.verify_audit().problems)


def test_a_removed_event_is_found(db: Database, service: GovernanceService) -> None:
    with db.engine.begin() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.number == 4))
    assert "event 5 stands where event 4 should be" in service.verify_audit().problems


def test_a_cut_tail_is_found(db: Database, service: GovernanceService) -> None:
    with db.engine.begin() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.number > 4))
    assert service.verify_audit().problems == ["events 5 to 6 are missing: they were signed, and are gone"]


def test_a_chain_rebuilt_from_an_edited_event_on_is_found(db: Database, service: GovernanceService) -> None:
    events = service.list_events(limit=10)
    previous = events[2].previous
    for event in events[2:]:
        forged = type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | {
            "actor": "mallory", "previous": previous
        })  # fmt: skip
        previous = chain_digest(forged)
        _edit(db, event.number, actor="mallory", previous=forged.previous, digest=previous)
    assert service.verify_audit().problems[0] == "event 3 is not the one that was signed: the chain was rebuilt"


def test_a_forged_checkpoint_is_found(service: GovernanceService, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"number":6', b'"number":7'))
    problems = service.verify_audit().problems
    assert "events 7 to 7 are missing: they were signed, and are gone" in problems
    assert "checkpoint 7 has a wrong signature" in problems


def test_a_failed_write_leaves_no_event(db: Database, service: GovernanceService) -> None:
    def fail(tx: Transaction) -> None:
        _change(tx, "ghost")
        raise LookupError("no")

    with pytest.raises(LookupError):
        db.write(fail)
    assert [event.subject.id for event in service.list_events()] == list("abcdef")


def test_events_are_read_with_a_cursor(service: GovernanceService) -> None:
    first = service.list_events(limit=4)
    rest = service.list_events(after=first[-1].number)
    assert [event.number for event in first + rest] == [1, 2, 3, 4, 5, 6]
    assert service.list_events(subject="thing:c")[0].detail == {"name": "c", "size": 3.5}


def test_lineage_is_walked_both_ways(db: Database, service: GovernanceService) -> None:
    db.write(lambda tx: tx.link(Ref("thing", "a'"), Ref("thing", "b"), "made"))
    up = service.trace_lineage("thing:b'")
    assert {str(ref) for ref in up.refs} == {"thing:a", "thing:a'", "thing:b", "thing:b'"}
    down = service.trace_lineage("thing:b", "down")
    assert {str(ref) for ref in down.refs} == {"thing:b", "thing:b'"}


def test_a_prediction_is_traced_through_the_segment_that_holds_it(db: Database, service: GovernanceService) -> None:
    db.write(lambda tx: tx.link(Ref("revision", "shop/1"), Ref("segment", "01abc"), "answered"))
    assert Ref("revision", "shop/1") in service.trace_lineage("prediction:01abc-17").refs


def test_a_line_that_a_crash_tore_is_replaced_by_the_next_checkpoint(
    db: Database, service: GovernanceService, tmp_path: Path
) -> None:
    with open(tmp_path / "checkpoints.jsonl", "ab") as file:
        file.write(b'{"digest":"ab')
    db.write(_change, "g")
    report = service.verify_audit()
    assert report.is_whole
    assert report.checkpoints == 7


def test_one_signature_speaks_for_all_that_came_in_a_moment_and_none_is_left_without(tmp_path: Path) -> None:
    db, checkpoints = open_database(tmp_path), CheckpointLog(tmp_path, every_s=3600)
    Ledger(db, checkpoints)
    for name in "abcdef":
        db.write(_change, name)
    db.close()
    assert [checkpoint.number for checkpoint in CheckpointLog(tmp_path).read()] == [1]
    checkpoints.flush()
    assert [checkpoint.number for checkpoint in CheckpointLog(tmp_path).read()] == [1, 6]


def test_what_came_last_is_signed_without_another_event(tmp_path: Path) -> None:
    db = open_database(tmp_path)
    Ledger(db, CheckpointLog(tmp_path, every_s=0.01))
    for name in "abcdef":
        db.write(_change, name)
    wait_until(lambda: CheckpointLog(tmp_path).read()[-1].number >= 6, "the last event is signed")
    db.close()


def test_a_process_that_was_killed_while_it_made_the_key_does_not_stand_in_the_way(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from penstock.governance.checkpoints import CheckpointLog
os.link = lambda *_: os._exit(9)  # where the power goes
os.getpid = lambda: 1  # as in a container
CheckpointLog(Path(sys.argv[1]))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "audit")]
    assert [subprocess.run(command, check=False).returncode for _ in range(2)] == [9, 9]
    log = CheckpointLog(tmp_path / "audit")
    log.append(1, "0" * 64)
    assert [log.is_signed(checkpoint) for checkpoint in log.read()] == [True]

"""One byte of a stored object or an audit row that was changed is found, and named."""

import contextlib
import io
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from journeys.own_project import OwnProject
from patience import wait_until
from penstock.cli.main import run


def flip(path: Path, place: int) -> None:
    """Change one bit of a file that nobody should write to."""
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def call(project: OwnProject, *arguments: str) -> tuple[int, str]:
    """A command in this process: its exit code, and what it printed."""
    printed = io.StringIO()
    with contextlib.chdir(project.folder), contextlib.redirect_stdout(printed):
        code = run(list(arguments))
    return code, printed.getvalue()


def stored(project: OwnProject) -> list[Path]:
    return sorted(path for path in (project.home / "objects").rglob("*") if path.is_file() and path.stat().st_size)


def test_a_whole_project_is_whole(trained: OwnProject) -> None:
    report = trained.json("verify")
    assert report["objects"]["objects"] > 10
    assert report["audit"]["events"] > 10
    assert (report["objects"]["problems"], report["audit"]["problems"]) == ([], [])


def test_one_changed_bit_of_any_stored_file_is_found(trained: OwnProject) -> None:
    chance = random.Random(4)
    files = stored(trained)
    for path in chance.sample(files, 4):
        whole = path.read_bytes()
        flip(path, chance.randrange(len(whole)))
        code, told = call(trained, "verify")
        assert (code, "objects are damaged or missing" in told) == (1, True), path
        path.write_bytes(whole)
    assert call(trained, "verify")[0] == 0


def test_a_stored_file_that_is_gone_or_cut_is_found(trained: OwnProject) -> None:
    *_, last = stored(trained)
    whole = last.read_bytes()
    last.chmod(0o600)
    last.write_bytes(whole[:-1])
    assert call(trained, "verify")[0] == 1
    last.unlink()
    code, told = call(trained, "verify")
    assert (code, "missing" in told) == (1, True)


EDITS = {
    "a detail": "UPDATE audit_events SET detail = replace(detail, 'version', 'Version') WHERE number = {row}",
    "who": "UPDATE audit_events SET actor = 'nobody' WHERE number = {row}",
    "what": "UPDATE audit_events SET action = action || 'x' WHERE number = {row}",
    "when": "UPDATE audit_events SET at = at + 1 WHERE number = {row}",
    "a row": "DELETE FROM audit_events WHERE number = {row}",
    "the tail": "DELETE FROM audit_events WHERE number >= {row}",
    "the order": "UPDATE audit_events SET number = CASE number WHEN {row} THEN -1 ELSE number END",
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_audit_row_is_found(edit: str, trained: OwnProject) -> None:
    with closing(sqlite3.connect(trained.home / "penstock.db")) as database:
        found = database.execute("SELECT max(number) FROM audit_events WHERE detail LIKE '%version%'")
        (row,) = found.fetchone()
        assert database.execute(EDITS[edit].format(row=row)).rowcount > 0
        database.commit()
    code, told = call(trained, "audit", "verify")
    assert (code, "the audit log was tampered with" in told) == (1, True)
    assert call(trained, "verify")[0] == 1


@pytest.mark.slow
def test_a_damaged_model_is_not_served(trained: OwnProject) -> None:
    for path in stored(trained):
        if path.suffix == ".pack":
            flip(path, path.stat().st_size // 2)
    trained.start()
    wait_until(lambda: "cannot load version 1" in trained.run("status").stdout, what="status says so")
    answer = trained.predict([{"age": 40, "calls": 2, "plan": "basic"}])
    assert answer.status_code == 503

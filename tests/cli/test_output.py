"""What commands print of a project: tables for people, JSON for programs, the same facts in both."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import penstock as ps
from patience import PATIENCE_S

EMPTY = {
    "runs list": ("No runs yet", []),
    "models list": ("No model yet", []),
    "episodes list": ("No episode yet", []),
    "data log": ("No version yet", None),
    "audit list": ("Nothing has happened yet", []),
    "monitor": ("No window has closed yet", None),
    "lineage run:1": ("nothing is known upstream of run:1", None),
    "audit verify": ("whole: 0 events", None),
    "verify": ("whole: 0 objects", None),
    "status": ("1 of 7 stages hold", None),
}


@pytest.fixture
def runs(project: Path) -> list[str]:
    """Two runs with params, metrics and an artifact."""
    ids = []
    for rate in (0.1, 0.2):
        with ps.start_run("shop", name=f"rate [{rate}]", params={"rate": rate, "depth": 3}) as run:
            run.log(loss=1 / rate, accuracy=0.5)
            run.log_artifact("penstock.toml")
        ids.append(run.id)
    return ids


@pytest.mark.parametrize("line", EMPTY)
def test_what_is_not_there_yet_is_told_with_what_to_do(line: str, project: Path, penstock) -> None:
    said = penstock(*line.split())
    assert (said.code, said.err) == (0, "")
    assert EMPTY[line][0] in said.out
    told = penstock(*line.split(), "--json")
    assert told.code == 0
    if EMPTY[line][1] is not None:
        assert told.json == EMPTY[line][1]


def test_data_is_added_checked_and_compared(project: Path, penstock) -> None:
    assert penstock("data", "check").out.startswith("customers: 60 rows")
    assert penstock("data", "add").out == "customers version 1: 60 rows, added\n"
    assert penstock("data", "add").out == "customers version 1: 60 rows, unchanged\n"
    with open(project / "data" / "customers.csv", "a") as file:
        file.write("60,41,[basic],1\n61,42,plus,0\n")
    assert penstock("data", "add", "customers", "--json").json == [
        {"dataset": "customers", "version": 2, "rows": 62, "new": True}
    ]
    assert [version["version"] for version in penstock("data", "log", "--json").json] == [2, 1]
    said = penstock("data", "diff", "customers", "1", "2")
    assert "60 to 62 rows" in said.out
    assert "2 added, 0 removed, 0 changed" in said.out
    assert penstock("data", "diff", "customers", "1", "2", "--json").json["rows"]["added"] == 2
    lineage = penstock("lineage", "dataset-version:customers/1")
    assert "source:data/customers.csv" in lineage.out


def test_runs_are_listed_shown_and_compared(runs: list[str], penstock) -> None:
    listed = penstock("runs", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["run", *reversed(runs)]
    assert "rate [0.1]" in listed.out  # what looks like markup is none
    assert "loss=10" in listed.out
    assert [run["id"] for run in penstock("runs", "list", "--json").json] == list(reversed(runs))
    shown = penstock("runs", "show", runs[0]).out
    for told in ("rate [0.1]", "depth", "loss", "penstock.toml", "finished"):
        assert told in shown
    assert penstock("runs", "show", runs[0], "--json").json["run"]["params"] == {"rate": "0.1", "depth": "3"}
    compared = penstock("runs", "compare", *runs).out
    assert "rate *" in compared
    assert "depth *" not in compared
    assert [run["id"] for run in penstock("runs", "compare", *runs, "--json").json["runs"]] == runs


def test_what_was_done_can_be_read_in_the_audit_log(runs: list[str], penstock) -> None:
    said = penstock("audit", "list")
    assert "tracking.create_run" in said.out
    assert f"run:{runs[1]}" in said.out
    events = penstock("audit", "list", "--json", "--limit", "2").json
    assert [event["number"] for event in events] == sorted(event["number"] for event in events)
    assert len(events) == 2
    assert penstock("audit", "verify", "--json").json["problems"] == []


def test_what_is_piped_is_neither_coloured_nor_wrapped(runs: list[str], penstock) -> None:
    for line in ("runs list", "audit list", "status", "--help"):
        said = penstock(*line.split())
        assert "\033" not in said.out
    assert len(penstock("runs", "list").out.splitlines()) == 1 + len(runs)


def test_init_tells_what_it_guessed_and_what_to_do_next(nowhere: Path, penstock) -> None:
    rows = [f"{n},{n % 9},a{n % 2},{n % 2}\n" for n in range(60)]
    Path("shop.csv").write_text("order_id,price,[odd],bought\n" + "".join(rows))
    said = penstock("init", "--data", "shop.csv", "--label", "bought")
    assert (said.code, said.err) == (0, "")
    for told in ("task is binary", "order_id", "[odd]", "cd bought", "penstock up", "penstock run"):
        assert told in said.out
    assert "note: [odd] alone gives bought away" in said.out
    again = penstock("init", "--data", "shop.csv", "--label", "bought", "--json")
    assert json.loads(again.err)["error_code"] == "CONFLICT"
    other = penstock("init", "--data", "shop.csv", "--label", "bought", "--folder", "other", "--json")
    assert other.json["folder"] == "other"
    assert other.json["plan"]["task"] == "binary"


def test_init_asks_again_until_it_is_answered(nowhere: Path) -> None:
    Path("shop.csv").write_text("price,bought\n" + "".join(f"{n % 9},{n % 2}\n" for n in range(60)))
    screen, terminal = pty.openpty()
    os.write(screen, b"binry\nbinary\n\nno_such_column\nnone\n")
    argv = [sys.executable, "-m", "penstock", "init", "--data", "shop.csv", "--label", "bought"]
    asked = subprocess.run(argv, stdin=terminal, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    os.close(screen)
    os.close(terminal)
    assert asked.returncode == 0, asked.stderr
    assert "there is no 'binry': did you mean 'binary'?" in asked.stdout
    assert "there is no 'no_such_column': known here: none, price" in asked.stdout
    assert Path("bought/penstock.toml").is_file()

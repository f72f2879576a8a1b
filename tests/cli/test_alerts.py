"""`penstock alerts`, with the server's part done in this process."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock.core.project.parse import load_project
from penstock.core.project.places import project_config
from penstock.monitoring.incidents.dispatcher import Dispatcher
from penstock.monitoring.incidents.types import Signal
from penstock.processes.server import open_dispatcher
from penstock.sdk.connect import connect

SINCE = datetime(2026, 3, 2, tzinfo=UTC)
MOVED = Signal(
    key="seen:a",
    deployment="churned",
    kind="drift",
    labels=("column:age",),
    since=SINCE,
    until=SINCE + timedelta(days=1),
    summary="age moved by 0.4",
)


@pytest.fixture
def dispatcher(project: Path) -> Iterator[Dispatcher]:
    """What a server does beside answering, on this project's own database."""
    file = project / "penstock.toml"
    file.write_text(file.read_text() + '\n[[alert]]\nto = "file"\npath = "told.jsonl"\n')
    services = connect()
    made = open_dispatcher(services, load_project(file), project_config(project))
    made._sources = [lambda: [MOVED]]
    yield made
    made.release()
    services.close()


def settle(dispatcher: Dispatcher) -> None:
    while dispatcher.tick():
        pass


def test_an_incident_is_listed_shown_taken_and_resolved(dispatcher: Dispatcher, project: Path, penstock) -> None:
    settle(dispatcher)
    listed = penstock("alerts", "list")
    assert "age moved by 0.4" in listed.out and "notice" in listed.out
    (incident,) = penstock("alerts", "list", "--json").json
    name = incident["id"][-8:]
    shown = penstock("alerts", "show", name)
    assert "column:age" in shown.out and "file told.jsonl" in shown.out and "sent" in shown.out
    assert penstock("alerts", "ack", name, "--note", "on it").code == 0
    assert penstock("alerts", "list", "--status", "acknowledged", "--json").json[0]["note"] == "on it"
    assert penstock("alerts", "resolve", name, "--reason", "a new price list").code == 0
    again = penstock("alerts", "resolve", name, "--reason", "twice")
    assert again.code == 1 and "a new price list" in again.err
    settle(dispatcher)
    told = [json.loads(line) for line in (project / "told.jsonl").read_text().splitlines()]
    assert [line["step"] for line in told] == ["opened", "resolved"]
    assert "penstock alerts show" in told[0]["command"]


def test_a_silence_is_made_listed_and_ended(dispatcher: Dispatcher, project: Path, penstock) -> None:
    made = penstock("alerts", "silence", "--lasting", "2h", "--reason", "we know", "--label", "column:age", "--json")
    settle(dispatcher)
    assert not (project / "told.jsonl").exists()
    assert "we know" in penstock("alerts", "silences").out
    assert penstock("alerts", "unsilence", made.json["id"]).code == 0
    settle(dispatcher)
    assert (project / "told.jsonl").exists()
    assert "Nothing is silenced" in penstock("alerts", "silences").out
    wrong = penstock("alerts", "silence", "--lasting", "soon", "--reason", "x")
    assert wrong.code == 1 and "--lasting" in wrong.err


def test_channels_are_tried_out(dispatcher: Dispatcher, project: Path, penstock) -> None:
    dispatcher._sources = []
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [dispatcher.tick() for _ in iter(lambda: stop.wait(0.05), True)])
    thread.start()
    try:
        tried = penstock("alerts", "test", "--json")
        assert (tried.code, [each["status"] for each in tried.json]) == (0, ["sent"])
        (project / "told.jsonl").unlink()
        (project / "told.jsonl").mkdir()
        assert penstock("alerts", "test").code == 1
    finally:
        stop.set()
        thread.join()
    unknown = penstock("alerts", "test", "nobody")
    assert unknown.code == 1 and "known here: file told.jsonl" in unknown.err


def test_what_is_not_there_is_said(project: Path, penstock) -> None:
    shown = penstock("alerts", "show", "nothing")
    assert shown.code == 1 and "there is no incident 'nothing'" in shown.err
    assert "No incident." in penstock("alerts", "list").out
    assert "Nothing was sent yet" in penstock("alerts", "deliveries").out

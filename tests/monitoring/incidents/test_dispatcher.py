"""Messages reach people at least once with one id each, from one server at a time, whatever dies in between."""

import os
import signal as signals
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from factories import open_database
from monitoring.incidents.receivers import Hook, listen_http
from monitoring.incidents.sender import PROJECT, open_dispatcher, open_incidents, signal
from patience import PATIENCE_S, wait_until
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.governance.ledger import Ledger
from penstock.governance.service import GovernanceService
from penstock.monitoring.incidents.dispatcher import LEASE_S, Dispatcher
from penstock.monitoring.incidents.service import MOST_TRIES
from penstock.monitoring.incidents.types import Delivery, Incident, Signal
from penstock.storage.database import Database

HOUR = timedelta(hours=1)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with listen_http() as hook:
        monkeypatch.setenv("HOOK_URL", hook.url)
        monkeypatch.setenv("HOOK_SECRET", "hidden secret")
        yield hook


class World:
    """One project on a clock moved by hand; `speaking` is what speaks."""

    def __init__(self, folder: Path, text: str = PROJECT) -> None:
        self.folder, self.text = folder, text
        self.clock = ManualClock()
        self.db: Database = open_database(folder, self.clock)
        Ledger(self.db, None)
        self.incidents = open_incidents(self.db)
        self.speaking: list[Signal] = []
        self.dispatcher = self.open("a")

    def open(self, holder: str) -> Dispatcher:
        return open_dispatcher(self.db, self.folder, [lambda: self.speaking], holder, self.text)

    def settle(self) -> None:
        for _ in range(20):
            self.clock.advance(seconds=1)
            if not self.dispatcher.tick():
                return
        raise AssertionError("never at rest")

    @property
    def incident(self) -> Incident:
        return self.incidents.list_incidents()[0]

    @property
    def deliveries(self) -> list[Delivery]:
        return self.incidents.list_deliveries()


@pytest.fixture
def world(tmp_path: Path, hook: Hook) -> World:
    return World(tmp_path)


def steps(hook: Hook) -> list[str]:
    return [got.headers["webhook-id"].split(".")[1] for got in hook.received]


def test_an_incident_is_told_once_and_its_end_once(world: World, hook: Hook) -> None:
    world.speaking = [signal("seen:a")]
    world.settle()
    world.speaking = [signal("seen:a"), signal("seen:b")]
    world.settle()
    assert steps(hook) == ["opened"]
    world.speaking = [
        signal("seen:a", ended="the window of 3 March shows it no more"),
        signal("seen:b", ended="calm"),
    ]
    world.settle()
    world.settle()
    assert steps(hook) == ["opened", "resolved"]
    assert world.incident.status == "resolved"
    assert {delivery.status for delivery in world.deliveries} == {"sent"}
    assert world.incidents.list_told([world.incident.id, "another"]) == {world.incident.id: ["hook"]}


def test_a_receiver_that_fails_is_tried_again_after_longer_and_longer_pauses(world: World, hook: Hook) -> None:
    hook.answers = [500, 503, 200]
    world.speaking = [signal()]
    world.settle()
    assert [(d.status, d.attempts) for d in world.deliveries] == [("waiting", 1)]
    assert world.incidents.list_told([world.incident.id]) == {}
    assert "503" in world.deliveries[0].error or "500" in world.deliveries[0].error
    first_pause = world.deliveries[0].next_at - world.clock.now()
    world.clock.advance(seconds=6)
    world.settle()
    assert world.deliveries[0].next_at - world.clock.now() > first_pause
    world.clock.advance(seconds=60)
    world.settle()
    assert [(d.status, d.attempts) for d in world.deliveries] == [("sent", 3)]
    assert len({got.headers["webhook-id"] for got in hook.received}) == 1


def test_what_is_refused_for_good_is_a_dead_letter_that_a_person_can_send_again(world: World, hook: Hook) -> None:
    hook.answers = [404, 200]
    world.speaking = [signal()]
    world.settle()
    (dead,) = world.incidents.list_deliveries("dead")
    assert "404" in dead.error
    assert world.incidents.count_deliveries() == {"waiting": 0, "dead": 1}
    world.incidents.retry_delivery(dead.id)
    world.settle()
    assert [d.status for d in world.deliveries] == ["sent"]
    with pytest.raises(ConflictError, match="it is sent"):
        world.incidents.retry_delivery(dead.id)


def test_what_never_arrives_is_given_up_in_the_end(world: World, hook: Hook) -> None:
    hook.answers = [500]
    world.speaking = [signal()]
    for _ in range(MOST_TRIES + 2):
        world.settle()
        world.clock.advance(hours=1)
    assert [(d.status, d.attempts) for d in world.deliveries] == [("dead", MOST_TRIES)]
    assert len(hook.received) == MOST_TRIES


def test_nobody_is_told_twice_by_several_servers(world: World, hook: Hook) -> None:
    others = [world.open("b"), world.open("c")]
    world.speaking = [signal()]
    for _ in range(30):
        for dispatcher in (world.dispatcher, *others):
            dispatcher.tick()
        world.clock.advance(seconds=LEASE_S / 3)
    assert steps(hook) == ["opened"]


def test_another_server_takes_over_when_one_is_gone(world: World, hook: Hook) -> None:
    world.dispatcher.tick()
    world.speaking = [signal()]
    other = world.open("b")
    assert not other.tick()
    world.clock.advance(seconds=LEASE_S + 1)
    assert other.tick()
    assert steps(hook) == ["opened"]
    assert not world.dispatcher.tick()


def test_a_server_that_slept_through_its_lease_writes_nothing(world: World, hook: Hook) -> None:
    world.speaking = [signal()]
    world.dispatcher.tick()  # holds the lease, and has told
    other = world.open("b")
    world.clock.advance(seconds=LEASE_S + 1)
    other.tick()
    world.speaking = []
    held = world.dispatcher._lease
    assert held is not None
    with pytest.raises(ConflictError):
        world.incidents.apply_signals("shop", [], held.fence)
    assert world.incident.status == "open"


def test_acknowledging_stops_the_escalation(tmp_path: Path, hook: Hook) -> None:
    text = PROJECT + '[[alert]]\nto = "file"\npath = "boss.jsonl"\nafter = "1h"\n'
    world = World(tmp_path, text)
    world.speaking = [signal()]
    world.settle()
    assert not (tmp_path / "boss.jsonl").exists()
    world.incidents.acknowledge_incident(world.incident.id, "on it")
    world.clock.advance(hours=2)
    world.settle()
    assert not (tmp_path / "boss.jsonl").exists()
    assert world.incident.note == "on it"


def test_what_nobody_acknowledges_goes_to_the_next_channel(tmp_path: Path, hook: Hook) -> None:
    text = PROJECT + '[[alert]]\nto = "file"\npath = "boss.jsonl"\nafter = "1h"\n'
    world = World(tmp_path, text)
    world.speaking = [signal()]
    world.settle()
    world.clock.advance(hours=1)
    world.settle()
    world.settle()
    assert (tmp_path / "boss.jsonl").read_text().count("Nobody has acknowledged") == 1
    assert steps(hook) == ["opened"]


def test_a_silence_holds_messages_back_until_it_ends(world: World, hook: Hook) -> None:
    silence = world.incidents.silence(world.clock.now() + HOUR, "we know", deployment="shop", label="column:price")
    world.speaking = [signal()]
    world.settle()
    assert (steps(hook), world.incident.status) == ([], "open")
    world.incidents.end_silence(silence.id)
    world.settle()
    assert steps(hook) == ["opened"]
    assert world.incidents.list_silences() == []
    assert [each.ended_at is not None for each in world.incidents.list_silences(running=False)] == [True]


def test_a_person_resolves_with_a_reason_and_the_same_signal_opens_no_other(world: World, hook: Hook) -> None:
    world.speaking = [signal()]
    world.settle()
    with pytest.raises(InvalidInputError, match="says why"):
        world.incidents.resolve_incident(world.incident.id, " ")
    world.incidents.resolve_incident(world.incident.id, "the price list was changed on purpose")
    world.settle()
    assert steps(hook) == ["opened", "resolved"]
    assert len(world.incidents.list_incidents()) == 1
    assert (world.incident.resolved_by, world.incident.resolution[:9]) == ("tester", "the price")
    with pytest.raises(ConflictError, match="was resolved by tester"):
        world.incidents.acknowledge_incident(world.incident.id)


def test_a_test_message_goes_to_the_channel_that_is_named(world: World, hook: Hook) -> None:
    sent = world.incidents.request_test("shop", "hook", "http://penstock.test")
    lost = world.incidents.request_test("shop", "no such")
    world.settle()
    found = {delivery.id: delivery for delivery in world.deliveries}
    assert found[sent.id].status == "sent"
    assert (found[lost.id].status, "no alert called 'no such'" in found[lost.id].error) == ("dead", True)
    assert len(hook.received) == 1


@pytest.mark.sqlite
def test_no_secret_is_kept_or_told(world: World, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.answers = [500]
    world.speaking = [signal()]
    world.settle()
    world.db.close()
    kept = b"".join(path.read_bytes() for path in world.folder.glob("penstock.db*"))
    assert b"incidents.open" in kept
    assert b"hidden" not in kept  # neither the key nor the token in the address
    assert "hidden" not in caplog.text


def test_all_that_is_done_is_audited(world: World, hook: Hook) -> None:
    world.speaking = [signal()]
    world.settle()
    world.incidents.acknowledge_incident(world.incident.id)
    world.speaking = []
    world.settle()
    governance = GovernanceService(world.db)
    actions = [event.action for event in governance.list_events(limit=100)]
    wanted = ["incidents.open", "incidents.deliver", "incidents.acknowledge", "incidents.resolve", "incidents.deliver"]
    assert [action for action in actions if action.startswith("incidents.")] in (wanted, wanted[::-1])
    assert governance.verify_audit().is_whole


def test_what_is_not_there_is_said(world: World) -> None:
    for ask in (world.incidents.get_incident, world.incidents.end_silence, world.incidents.retry_delivery):
        with pytest.raises(NotFoundError, match="there is no"):
            ask("nothing")


def test_a_slow_channel_holds_up_no_other(tmp_path: Path, hook: Hook) -> None:
    hook.pause = threading.Event()
    world = World(tmp_path, PROJECT + '[[alert]]\nto = "file"\npath = "told.jsonl"\n')
    world.speaking = [signal()]
    thread = threading.Thread(target=world.dispatcher.tick)
    thread.start()
    wait_until(lambda: (tmp_path / "told.jsonl").exists() and len(hook.received) == 1)
    assert thread.is_alive()
    assert world.incident.status == "open"  # and the database answers meanwhile
    hook.pause.set()
    thread.join()


class Sender:
    """A process of its own that sends; it can be killed."""

    def __init__(self, folder: Path, holder: str, failpoints: str = "") -> None:
        argv = [sys.executable, "-m", "monitoring.incidents.sender", str(folder), holder]
        paths = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": paths, "PENSTOCK_FAILPOINTS": failpoints}
        self.process = subprocess.Popen(argv, env=environment)

    def kill(self) -> None:
        self.process.send_signal(signals.SIGKILL)
        self.process.wait()


@pytest.mark.sqlite
@pytest.mark.slow
def test_a_sender_killed_in_the_middle_of_a_delivery_sends_it_again_under_the_same_id(
    tmp_path: Path, hook: Hook
) -> None:
    open_database(tmp_path).close()
    dying = Sender(tmp_path, "a", "alerts.after_send=kill@1")  # the other side has it, and we do not know
    dying.process.wait(PATIENCE_S)
    assert len(hook.received) == 1
    hook.pause = threading.Event()
    waiting = Sender(tmp_path, "b")
    wait_until(lambda: len(hook.received) == 2)  # the request is under way, and nobody has answered it
    waiting.kill()
    hook.pause.set()
    last = Sender(tmp_path, "c")
    db = open_database(tmp_path)
    incidents = open_incidents(db)
    wait_until(lambda: [d.status for d in incidents.list_deliveries()] == ["sent"])
    delivered = len(hook.received)
    time.sleep(0.5)  # would there be another
    last.kill()
    assert len(hook.received) == delivered >= 3
    assert len({got.headers["webhook-id"] for got in hook.received}) == 1
    assert len(incidents.list_incidents()) == 1

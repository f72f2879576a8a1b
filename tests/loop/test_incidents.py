"""From drift and failed episodes to incidents, with the monitor and the loop for real."""

import json
from pathlib import Path

import pytest

from penstock.core.outward import Outward
from penstock.loop.incidents import FailedEpisodes, StuckLoop
from penstock.monitoring.incidents.channels.open import open_channel
from penstock.monitoring.incidents.dispatcher import Dispatcher
from penstock.monitoring.incidents.sources import AlertSource
from penstock.monitoring.incidents.types import Incident
from shop_world import DAY, EVEN, PROJECT, START, Shop

TELLING = PROJECT + '[[alert]]\nto = "file"\npath = "told.jsonl"\n'
WINTER = [6.0, 6.0, 6.0] + [1.0] * 9


class Told:
    """A shop, its controller, and what people are told."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        services, project = self.shop.services, self.shop.project
        self.dispatcher = Dispatcher(
            services.incidents,
            project,
            {rule.label: open_channel(rule, Outward(), shop.folder) for rule in project.alerts},
            [
                AlertSource(services.monitoring, services.incidents, "shop"),
                FailedEpisodes(services.loop, "shop"),
                StuckLoop(services.loop, "shop"),
            ],
            holder="a",
            url="http://penstock.test",
        )

    def settle(self) -> None:
        for _ in range(50):
            busy = self.shop.controller.tick()
            if not (self.dispatcher.tick() or busy):
                return
        raise AssertionError("never at rest")

    @property
    def incidents(self) -> list[Incident]:
        return self.shop.services.incidents.list_incidents()

    @property
    def messages(self) -> list[dict[str, str]]:
        path = self.shop.folder / "told.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def finish(self, quality: float) -> None:
        self.shop.finish_run(self._run(), quality=quality)
        self.settle()

    def fail(self, error: str) -> None:
        self.shop.fail_run(self._run(), error)
        self.settle()

    def _run(self):  # type: ignore[no-untyped-def]
        services = self.shop.services
        run_id = services.loop.list_episodes("shop")[0].run_id
        assert run_id is not None
        return services.pipelines.get_run(run_id)

    def serve(self, *days: int, weights: list[float], revision: int = 1) -> None:
        for day in days:
            self.shop.request(START + day * DAY, 400, revision, weights=weights)
        self.settle()


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(Shop.open_released(tmp_path, TELLING))


@pytest.fixture(scope="module")
def drift(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    told = Told(Shop.open_released(tmp_path_factory.mktemp("drift"), TELLING))
    told.serve(0, weights=EVEN)
    assert told.incidents == []
    told.serve(1, 2, weights=WINTER)
    return told.shop


@pytest.fixture
def told_of_drift(drift: Shop, tmp_path: Path) -> Told:
    """Those who are told, after two days on which other requests came than before."""
    return Told(drift.copy_to(tmp_path))


def test_drift_alone_is_a_notice_that_says_what_moved_where_to_look_and_what_will_be_done(told_of_drift: Told) -> None:
    (incident,) = told_of_drift.incidents
    assert (incident.severity, incident.status, incident.labels) == ("notice", "open", ("column:recent",))
    (message,) = told_of_drift.messages
    assert "recent moved by 0." in message["summary"]
    assert message["look"] == f"http://penstock.test/incidents/{incident.id}"
    assert "answered by a retrain" in message["proposal"]


def test_a_refusal_does_not_end_an_incident_whose_evidence_stays(told_of_drift: Told) -> None:
    told_of_drift.finish(0.2)  # the candidate is refused, and the loop resolves its alert
    assert [alert.status for alert in told_of_drift.shop.services.monitoring.list_alerts("shop")] == ["resolved"]
    told_of_drift.serve(3, 4, weights=WINTER)
    (incident,) = told_of_drift.incidents
    assert incident.status == "open"
    assert [message["step"] for message in told_of_drift.messages] == ["opened"]


def test_an_incident_ends_when_its_evidence_falls(told_of_drift: Told) -> None:
    told_of_drift.finish(0.2)
    told_of_drift.serve(3, weights=EVEN)
    told_of_drift.serve(4, weights=EVEN)
    told_of_drift.serve(5, weights=EVEN)
    (incident,) = told_of_drift.incidents
    assert (incident.status, incident.resolved_by) == ("resolved", "penstock")
    assert [message["step"] for message in told_of_drift.messages] == ["opened", "resolved"]


def test_an_episode_that_fails_is_an_alarm_of_the_same_incident(told_of_drift: Told) -> None:
    told_of_drift.fail("data 'events' is empty")
    (incident,) = told_of_drift.incidents
    assert set(incident.kinds) == {"drift", "episode"}
    story = told_of_drift.shop.services.incidents.get_incident(incident.id)
    assert "data 'events' is empty" in story.signals[-1].summary


def test_without_drift_a_failed_episode_is_an_incident_until_a_later_one_ends_well(told: Told) -> None:
    told.shop.services.loop.open_episode("shop")
    told.settle()
    told.fail("data 'events' is empty")
    assert [incident.kinds for incident in told.incidents] == [("episode",)]
    assert "the model stays as it is" in told.messages[0]["summary"]
    told.shop.services.loop.open_episode("shop")
    told.settle()
    told.finish(0.9)
    told.serve(0, weights=EVEN, revision=2)
    state = told.shop.services.loop.list_episodes("shop")[0].state
    assert (state, told.incidents[0].status) in {("releasing", "open"), ("promoted", "resolved")}


def test_what_a_person_cancels_alarms_nobody(told: Told) -> None:
    episode = told.shop.services.loop.open_episode("shop")
    told.shop.services.loop.cancel_episode(episode.id)
    told.settle()
    assert told.incidents == []


def test_a_monitor_that_fails_is_an_alarm_and_a_sick_candidate_is_aborted_all_the_same(
    told_of_drift: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_of_drift.finish(0.9)
    with monkeypatch.context() as patch:
        patch.setattr("penstock.monitoring.monitor.Monitor.tick", lambda self: 1 / 0)
        told_of_drift.shop.request(START + 3 * DAY, 300, 1, weights=WINTER)
        told_of_drift.shop.request(START + 3 * DAY, 300, 2, weights=WINTER, errors=200)
        told_of_drift.settle()
        assert told_of_drift.shop.services.serving.list_rollouts("shop")[0].state == "aborted"
        (incident,) = [each for each in told_of_drift.incidents if each.kinds == ("loop",)]
        assert (incident.severity, incident.status) == ("page", "open")
        assert "division by zero" in incident.summary
        assert not told_of_drift.shop.services.loop.get_state("shop").settled
    told_of_drift.serve(4, weights=EVEN)
    assert [each.status for each in told_of_drift.incidents if each.kinds == ("loop",)] == ["resolved"]

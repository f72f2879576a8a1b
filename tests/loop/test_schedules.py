"""The loop is level-triggered (P24): events lost, doubled or out of order lead to where a calm run of them leads.

Here the decisions alone are run, as the pure functions that they are: alarms and recoveries from windows, the choice of
an episode from alerts, incidents from what speaks. An event only says "look"; what is looked at is the state. That what
comes in is itself put in order whatever comes first is shown where it comes in (`predictions`), and that a whole story
survives crashes at every step in `test_controller.py`.
"""

import itertools
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.core.ids import AlertId, Digest, EpisodeId
from penstock.core.project.parse import parse_project
from penstock.core.project.types import Project
from penstock.loop.triggers import Facts, Firing, choose_trigger
from penstock.loop.types import Episode
from penstock.monitoring.alarms import find_alarms, find_recoveries
from penstock.monitoring.incidents.labels import signal_of
from penstock.monitoring.incidents.reconciling import Known, reconcile
from penstock.monitoring.incidents.types import Incident, IncidentSignal
from penstock.monitoring.types import Alert, ColumnDrift, LossEvidence, Performance, Window

DAY = timedelta(days=1)
START = datetime(2011, 3, 1, tzinfo=UTC)
PROJECT = """
[project]
name = "shop"
task = "ranking"
[monitor]
window = "1d"
performance = { metric = "precision_at_10" }
[retrain]
when = ["drift", "performance"]
"""
COLUMNS = ("price", "recent", "size")
MOST_LOOKS = 12  # until nothing is left to do


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return parse_project(PROJECT, root=Path(tmp_path_factory.mktemp("project")))


def make_window(day: int, chance: random.Random) -> Window:
    """A day on which some columns may have moved, or performance dropped."""
    drift = []
    for column in COLUMNS:
        p_value = chance.choice([0.5, 0.5, 0.5, 0.03, 1e-9])  # calm, neither, moved
        drift.append(
            ColumnDrift(
                column=column, test="ks", distance=0.2, p_value=p_value, level=0.01, drifted=p_value < 0.01, rows=99
            )
        )
    lost = chance.random() < 0.2
    loss = LossEvidence(
        mean_loss=0.98 if lost else 0.9, groups=50, losses=Digest("0" * 64), tolerated=0.95, evidence=1.0, lost=lost
    )
    return Window(
        deployment="shop",
        start=START + day * DAY,
        end=START + (day + 1) * DAY,
        rows=100,
        outcomes=50,
        version=1,
        number=day + 1,
        level=0.01,
        drift=drift,
        performance=Performance(metric="precision_at_10", value=0.02, low=0.01, high=0.03, rows=50),
        loss=loss,
    )


class Loop:
    """What the monitor, the controller and the dispatcher keep, and a look of all three at it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.windows: dict[datetime, Window] = {}
        self.alerts: dict[str, Alert] = {}
        self.episodes: list[Episode] = []
        self.incidents: dict[str, Incident] = {}
        self.signals: dict[tuple[str, str], IncidentSignal] = {}
        self._names = (str(number) for number in itertools.count())

    def look(self) -> bool:
        """One look, as `Monitor`, `Controller` and `Dispatcher` take it; returns whether anything was done."""
        changed = self._look_at_windows()
        changed |= self._look_at_alerts()
        return self._look_at_signals() or changed

    def settle(self) -> None:
        for _ in range(MOST_LOOKS):
            if not self.look():
                return
        raise AssertionError("never at rest")

    def end(self) -> object:
        """Where it has come to: what is open, and what is answered."""
        return (
            sorted((alert.kind, alert.evidence["version"]) for alert in self.alerts.values() if alert.status == "open"),
            [(episode.number, episode.state) for episode in self.episodes],
            sorted(held.kind for held in self.signals.values() if held.ended_at is None),
            # How what speaks is shared out among incidents may differ: one goes on as long as anything of it does.
            any(each.severity == "page" for each in self.incidents.values() if not each.is_resolved),
        )

    def _look_at_windows(self) -> bool:
        ordered = sorted(self.windows.values(), key=lambda window: window.start)
        recoveries = find_recoveries(ordered, 1, list(self.alerts.values()))
        for recovery in recoveries:
            alert = self.alerts[recovery.alert_id]
            as_of = max(recovery.as_of, alert.as_of)
            self.alerts[alert.id] = replace(alert, status="resolved", resolved_as_of=as_of, resolution=recovery.reason)
        alarms = find_alarms(self._project, ordered, 1, list(self.alerts.values()))
        for alarm in alarms:
            name = AlertId(f"shop-{alarm.kind}-{alarm.window.start:%Y%m%d}")
            assert name not in self.alerts, "an alert was raised twice"
            self.alerts[name] = Alert(
                id=name,
                deployment="shop",
                kind=alarm.kind,
                window_start=alarm.window.start,
                as_of=alarm.window.end,
                opened_at=alarm.window.end,
                summary=alarm.summary,
                evidence=alarm.evidence,
                severity="page" if alarm.kind == "performance" else "notice",
            )
        return bool(recoveries or alarms)

    def _look_at_alerts(self) -> bool:
        if any(episode.is_open for episode in self.episodes) or not self.windows:
            return False
        newest = max(window.end for window in self.windows.values())
        held = [alert for alert in self.alerts.values() if alert.status == "open"]
        facts = Facts(now=newest, has_champion=True, alerts=held, episodes=self.episodes)
        choice = choose_trigger(self._project.retrain, facts)
        if not isinstance(choice, Firing):
            return False
        number = len(self.episodes) + 1
        self.episodes.append(
            Episode(
                id=EpisodeId(f"e{number}"),
                project="shop",
                number=number,
                trigger=choice.trigger,
                reason=choice.reason,
                as_of=newest,
                started_at=newest,
            )
        )
        return True

    def _look_at_signals(self) -> bool:
        unresolved = [incident for incident in self.incidents.values() if not incident.is_resolved]
        speaking = [held for held in self.signals.values() if held.ended_at is None]
        signals = [signal_of(alert) for alert in self.alerts.values()]
        changes = reconcile(signals, Known(unresolved, speaking), START, lambda: next(self._names))
        self.incidents |= {incident.id: incident for incident in changes.incidents}
        self.signals |= {(held.incident, held.key): held for held in changes.signals}
        return bool(changes)


def run_calmly(project: Project, windows: list[Window]) -> object:
    """Every event comes once and in order, and all of it is worked off before the next."""
    loop = Loop(project)
    for window in windows:
        loop.windows[window.start] = window
        loop.settle()
    return loop.end()


def run_badly(project: Project, windows: list[Window], chance: random.Random) -> object:
    """Events are lost, come twice, late or in another order; the last look is the one that comes by itself."""
    loop = Loop(project)
    events: list[None] = []
    for window in windows:
        loop.windows[window.start] = window
        events += [None] * chance.choice([0, 1, 1, 2, 3])  # lost, once, or again and again
        for _ in range(chance.randint(0, len(events))):  # the others come later, among those of other windows
            events.pop()
            loop.look()
    loop.settle()
    assert not loop.look()
    return loop.end()


def has_one_reading(windows: list[Window]) -> bool:
    """Whether the newest day alone says what is open: an alert stays open through days that say neither.

    A day that is missed altogether leaves no alert that could stay open, so after such a day the past decides.
    """
    last = windows[-1]
    return all(column.p_value is not None and not 0.01 <= column.p_value <= 0.05 for column in last.drift)


@pytest.mark.slow
def test_ten_thousand_schedules_of_events_end_as_calm_ones_do(project: Project) -> None:
    tried = 0
    for seed in itertools.count():
        chance = random.Random(seed)
        windows = [make_window(day, chance) for day in range(chance.randint(1, 8))]
        if not has_one_reading(windows):
            continue
        assert run_badly(project, windows, chance) == run_calmly(project, windows), seed
        tried += 1
        if tried == 10_000:
            break

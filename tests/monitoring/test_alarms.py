"""Which alerts windows give rise to, and when alerts have passed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from factories import open_database
from penstock.core.errors import NotFoundError
from penstock.core.ids import Digest
from penstock.core.project.parse import parse_project
from penstock.core.project.types import Project
from penstock.monitoring.alarms import find_alarms, find_recoveries
from penstock.monitoring.service import MonitoringService
from penstock.monitoring.types import Alert, ColumnDrift, LossEvidence, Performance, Window

DAY = timedelta(days=1)
START = datetime(2011, 3, 1, tzinfo=UTC)
PROJECT_FILE = """
[project]
name = "shop"
task = "ranking"
[monitor]
window = "1d"
performance = { metric = "precision_at_10", at_least = 0.02 }
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return parse_project(PROJECT_FILE, root=tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> MonitoringService:
    return MonitoringService(open_database(tmp_path))


def window(day: int, *, p_value: float = 0.5, lost: bool = False, version: int = 1, **given: Any) -> Window:
    drift = ColumnDrift(
        column="recent", test="chi2", distance=0.3, p_value=p_value, level=0.01, drifted=p_value < 0.01, new_share=0.2
    )
    loss = LossEvidence(
        mean_loss=0.98 if lost else 0.9, groups=50, losses=Digest("0" * 64), tolerated=0.95, evidence=2.0, lost=lost
    )
    figures = Performance(metric="precision_at_10", value=0.02, low=0.01, high=0.03, rows=50)
    values: dict[str, Any] = {
        "deployment": "shop",
        "start": START + day * DAY,
        "end": START + (day + 1) * DAY,
        "rows": 100,
        "outcomes": 50,
        "version": version,
        "number": day + 1,
        "level": 0.01,
        "drift": [drift],
        "performance": figures,
        "loss": loss,
    }
    return Window(**(values | given))


def opened(service: MonitoringService, project: Project, *windows: Window, live: int = 1) -> list[Alert]:
    """What a monitor does with these windows, as the service then has it."""
    for recovery in find_recoveries(windows, live, service.list_alerts("shop")):
        service.resolve_alert(recovery.alert_id, recovery.reason, recovery.as_of)
    for alarm in find_alarms(project, windows, live, service.list_alerts("shop")):
        service.open_alert(alarm.window, alarm.kind, alarm.summary, alarm.evidence)
    return service.list_alerts("shop", "open")


def test_calm_windows_raise_nothing(service: MonitoringService, project: Project) -> None:
    assert opened(service, project, window(0), window(1)) == []


def test_a_window_that_drifted_opens_one_alert_that_names_the_columns(
    service: MonitoringService, project: Project
) -> None:
    (alert,) = opened(service, project, window(0), window(1, p_value=1e-9))
    assert (alert.kind, alert.as_of) == ("drift", START + 2 * DAY)
    assert "recent moved by 0.30 (p = 1e-09, 20% of the rows new to the model)" in alert.summary
    assert alert.evidence["columns"]["recent"]["p_value"] == 1e-9
    (same,) = opened(service, project, window(0), window(1, p_value=1e-9), window(2, p_value=1e-9))
    assert same == alert


def test_drift_and_a_drop_in_performance_are_two_alerts(service: MonitoringService, project: Project) -> None:
    alerts = opened(service, project, window(0, p_value=1e-9, lost=True))
    assert sorted(alert.kind for alert in alerts) == ["drift", "performance"]


def test_missing_the_projects_own_bar_is_told_as_such(service: MonitoringService, project: Project) -> None:
    (alert,) = opened(service, project, window(0, below_bar=True))
    assert "the project asks for at least 0.02" in alert.summary


def test_an_alert_passes_when_a_later_window_shows_nothing_of_it(service: MonitoringService, project: Project) -> None:
    drifted = window(0, p_value=1e-9)
    opened(service, project, drifted)
    assert len(opened(service, project, drifted, window(1, p_value=0.02))) == 1  # not rejected, but not calm either
    assert opened(service, project, drifted, window(1, p_value=0.02), window(2, p_value=0.4)) == []
    assert "shows it no more" in service.list_alerts("shop")[0].resolution


def test_an_alert_about_a_version_that_is_no_longer_live_is_resolved(
    service: MonitoringService, project: Project
) -> None:
    opened(service, project, window(0, lost=True))
    assert opened(service, project, window(0, lost=True), live=2) == []
    assert "no longer live" in service.list_alerts("shop")[0].resolution


def test_only_windows_after_the_resolution_raise_an_alert_again(service: MonitoringService, project: Project) -> None:
    drifted = [window(day, p_value=1e-9) for day in range(3)]
    (alert,) = opened(service, project, drifted[0])
    service.resolve_alert(alert.id, "refused", START + 2 * DAY)
    assert opened(service, project, *drifted[:2]) == []
    (again,) = opened(service, project, *drifted)
    assert again.window_start == drifted[2].start


def test_windows_of_a_replaced_version_raise_nothing(service: MonitoringService, project: Project) -> None:
    assert opened(service, project, window(0, p_value=1e-9, version=1), window(1, version=2), live=2) == []


def test_resolving_twice_and_opening_a_covered_window_change_nothing(
    service: MonitoringService, project: Project
) -> None:
    (alert,) = opened(service, project, window(0, p_value=1e-9))
    resolved = service.resolve_alert(alert.id, "done")
    assert service.resolve_alert(alert.id, "again") == resolved
    assert service.open_alert(window(0), "drift", "late", {}) == resolved
    with pytest.raises(NotFoundError):
        service.resolve_alert("nothing", "done")


def test_a_window_that_did_not_change_keeps_its_edition(service: MonitoringService) -> None:
    first = service.record_window(window(0))
    assert service.record_window(window(0)) == first
    revised = service.record_window(window(0, outcomes=51))
    assert (first.edition, revised.edition) == (1, 2)
    assert service.list_windows("shop") == [revised]


def test_windows_are_listed_oldest_first_and_the_newest_are_kept_by_a_limit(service: MonitoringService) -> None:
    for day in (2, 0, 1):
        service.record_window(window(day))
    assert [held.start for held in service.list_windows("shop", limit=2)] == [START + DAY, START + 2 * DAY]
    assert [held.start for held in service.list_windows("shop", after=START + DAY)] == [START + 2 * DAY]

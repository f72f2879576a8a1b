"""`GET /metrics` of the server: what it does and what waits, for Prometheus."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from penstock.catalogue.services import Services
from penstock.core.health import disk_families, render_metrics
from penstock.core.project.types import Project
from penstock.loop.triggers import Facts, find_spent
from penstock.monitoring.types import Cursor
from penstock.storage.database import Database
from penstock.storage.leases import leases
from penstock.storage.transaction import Transaction
from penstock.tracking.types import RunStatus

_LEASES = ("loop/", "alerts/")  # leases of those who act for a project; others come and go in great numbers
_MOST = 1_000
_EPISODES = 1_000  # that the budget looks back on


class ServerMetrics:
    """Reads the figures of a server each time it is asked.

    Args:
        services: what it publishes, on a database of this process.
        home: the folder of its state.
        project: whose loop it runs; None for a server without a project.
        version: of penstock.
    """

    def __init__(self, services: Services, home: Path, project: Project | None, version: str) -> None:
        self._services = services
        self._home = home
        self._project = project
        self._version = version

    def render(self) -> bytes:
        """The page."""
        return render_metrics(self._families)

    def _families(self) -> Iterator[Any]:
        yield gauge("penstock_build_info", "The version that runs.", ["version"], {(self._version,): 1})
        yield from disk_families(self._home)
        yield from self._queues()
        yield from self._incidents()
        yield from self._leases()
        yield from self._monitors()
        if self._project is not None:
            yield from self._loop(self._project)

    def _queues(self) -> Iterator[Any]:
        services = self._services
        waiting = {(): services.tokens.db.waiting_writes()}
        yield gauge("penstock_writer_queue_length", "Writes that are queued and not begun.", [], waiting)
        outbox = {(status,): count for status, count in services.incidents.count_deliveries().items()}
        yield gauge("penstock_alert_deliveries", "Messages that wait, or were given up.", ["status"], outbox)
        gateways = services.serving.list_gateways()
        segments = {(each.gateway,): each.waiting_segments for each in gateways}
        told = "Segments of the prediction log that a gateway has finished and not shipped, as it last said."
        yield gauge("penstock_gateway_waiting_segments", told, ["gateway"], segments)
        reports = {(each.gateway,): each.at.timestamp() for each in gateways}
        told = "When a gateway last said something of itself."
        yield gauge("penstock_gateway_report_timestamp_seconds", told, ["gateway"], reports)
        runs = {}
        for status in (RunStatus.SCHEDULED, RunStatus.RUNNING):
            held = services.pipelines.list_runs(status=status, limit=_MOST)
            runs[(status.name.lower(),)] = len(held)
        yield gauge("penstock_pipeline_runs", "Runs that wait for a worker, or are under way.", ["status"], runs)

    def _incidents(self) -> Iterator[Any]:
        counts = self._services.incidents.count_unresolved()
        names = ["deployment", "severity", "status"]
        yield gauge("penstock_incidents", "Incidents that are not resolved.", names, counts)

    def _leases(self) -> Iterator[Any]:
        db = self._services.tokens.db
        told = "How long the right to act for a project is held still; below 0: nobody has it."
        yield gauge("penstock_lease_remaining_seconds", told, ["lease"], _read_leases(db))

    def _monitors(self) -> Iterator[Any]:
        services = self._services
        segments, outcomes, lags = {}, {}, {}
        for name in services.predictions.list_deployments():
            cursor: Cursor = services.monitoring.get_cursor(name)
            arrived = services.predictions.get_arrivals(name)
            watermark = services.predictions.watermark(name)
            segments[(name,)] = max(arrived.segments - cursor.segments, 0)
            outcomes[(name,)] = max(arrived.outcomes - cursor.outcomes, 0)
            if watermark is not None and cursor.closed_until is not None:
                lags[(name,)] = (watermark - cursor.closed_until).total_seconds()
        label = ["deployment"]
        # Numbers are given over all deployments, so what is counted here may be more than the deployment's own.
        told = "How far the newest segment of predictions is ahead of what the monitor has read."
        yield gauge("penstock_monitor_segments_behind", told, label, segments)
        told = "How far the newest outcome is ahead of what the monitor has read."
        yield gauge("penstock_monitor_outcomes_behind", told, label, outcomes)
        told = "Event time from the end of the newest closed window to the newest prediction."
        yield gauge("penstock_monitor_lag_seconds", told, label, lags)

    def _loop(self, project: Project) -> Iterator[Any]:
        services, name, label = self._services, project.name, ["project"]
        look = services.loop.find_look(name)
        told = "When the controller last had something new to say."
        looks = {} if look is None else {(name,): look.at.timestamp()}
        yield gauge("penstock_controller_last_look_timestamp_seconds", told, label, looks)
        settled = {} if look is None else {(name,): float(look.settled and look.seen == services.loop.read_seen())}
        told = "1 when the controller has looked at everything there is and nothing is at work."
        yield gauge("penstock_controller_settled", told, label, settled)
        watermark = services.predictions.watermark(name)
        now = watermark or services.tokens.db.clock.now()
        episodes = services.loop.list_episodes(name, limit=_EPISODES)
        facts = Facts(now=now, by_clock=watermark is None, has_champion=True, episodes=episodes)
        spent = {(name,): len(find_spent(project.retrain, facts))}
        yield gauge("penstock_retrain_budget_spent", "Episodes that the retraining budget counts now.", label, spent)
        most = {(name,): project.retrain.budget.count}
        yield gauge("penstock_retrain_budget", "Episodes that the retraining budget allows.", label, most)
        since = now - project.monitor.false_alarms.per
        alerts = [each for each in services.monitoring.list_alerts(name, limit=_MOST) if each.as_of > since]
        told = "Alerts that were raised in the span of the false-alarm budget, true ones among them."
        yield gauge("penstock_alerts_raised", told, label, {(name,): len(alerts)})
        told = "False alarms that the budget allows in its span."
        yield gauge("penstock_false_alarm_budget", told, label, {(name,): project.monitor.false_alarms.count})


def gauge(name: str, told: str, labels: list[str], values: Mapping[Any, float]) -> Any:
    """A metric family: a value for each tuple of labels."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, told, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([str(part) for part in key], value)
    return family


def _read_leases(db: Database) -> dict[tuple[str], float]:
    def read(tx: Transaction) -> dict[tuple[str], float]:
        rows: list[Any] = list(tx.execute(select(leases.c.name, leases.c.expires_at)))
        held = [(name, expires_at) for name, expires_at in rows if name.startswith(_LEASES)]
        return {(name,): (expires_at - tx.now).total_seconds() for name, expires_at in held}

    return db.read(read)

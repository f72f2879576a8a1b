"""A process that keeps one project's alerts, to be killed: `python -m monitoring.incidents.sender FOLDER HOLDER`."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from penstock.core.clock import Clock
from penstock.core.outward import Outward
from penstock.core.project.parse import parse_project
from penstock.core.project.types import Project
from penstock.monitoring.incidents.channels.open import open_channel
from penstock.monitoring.incidents.dispatcher import Dispatcher, Source
from penstock.monitoring.incidents.service import IncidentService
from penstock.monitoring.incidents.types import Signal
from penstock.monitoring.service import MonitoringService
from penstock.predictions.service import PredictionService
from penstock.storage.database import Database

START = datetime(2026, 3, 2, tzinfo=UTC)
PROJECT = """
[project]
name = "shop"
task = "binary"
[[alert]]
to = "webhook"
name = "hook"
url = "env:HOOK_URL"
secret = "env:HOOK_SECRET"
"""


def signal(key: str = "seen:a", *labels: str, severity: str = "notice", **more: object) -> Signal:
    given: dict[str, object] = {"since": START, "until": START + timedelta(days=1), "kind": "drift"} | more
    labels = labels or ("column:price",)
    return Signal(key=key, deployment="shop", labels=labels, severity=severity, summary="price moved", **given)  # type: ignore[arg-type]


def open_incidents(db: Database) -> IncidentService:
    return IncidentService(db, MonitoringService(db), PredictionService(db))


def open_dispatcher(
    db: Database, folder: Path, sources: Sequence[Source], holder: str = "a", text: str = PROJECT
) -> Dispatcher:
    project: Project = parse_project(text, root=folder)
    outward = Outward([ip_network("127.0.0.0/8")])
    channels = {rule.label: open_channel(rule, outward, folder) for rule in project.alerts}
    return Dispatcher(open_incidents(db), project, channels, sources, holder=holder, url="http://penstock.test")


class Ahead:
    """The machine's clock, hurried, so that nobody waits for a lease or a pause."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=time.monotonic() * 1_000)

    def monotonic(self) -> float:
        return time.monotonic()


def main(folder: Path, holder: str) -> None:
    clock: Clock = Ahead()
    db = Database(f"sqlite:///{folder / 'penstock.db'}", clock=clock)
    dispatcher = open_dispatcher(db, folder, [lambda: [signal()]], holder)
    while True:
        dispatcher.tick()
        time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""A model that is served elsewhere, for tests: its predictions logged as they come, with outcomes at will."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.project.rates import Rate
from penstock.core.project.types import MonitorSection, OutcomesSection, PerformanceSection, Task
from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.governance.ledger import Ledger
from penstock.monitoring.external.ingest import Logged, log_rows
from penstock.monitoring.external.rows import Roles
from penstock.monitoring.external.service import ExternalService
from penstock.monitoring.external.watch import ExternalWatch
from penstock.monitoring.service import MonitoringService
from penstock.monitoring.types import Alert, Maturity, Window
from penstock.predictions.service import PredictionService
from penstock.predictions.types import EntityOutcome, OutcomesAdded
from penstock.storage.objects.object_store import ObjectStore
from penstock.tracking.service import TrackingService
from shop_world import open_services

START = datetime(2025, 3, 3, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
ROLES = Roles(time="at", score="score", key="customer", id="id")
MONITOR = MonitorSection(
    window=DAY, false_alarms=Rate(1, timedelta(days=90)), performance=PerformanceSection(metric="accuracy")
)


@dataclass(frozen=True)
class Sources:
    """The services that logging and watching need."""

    tracking: TrackingService
    datasets: DatasetService
    evaluation: EvaluationService
    external: ExternalService
    predictions: PredictionService
    monitoring: MonitoringService
    objects: ObjectStore


class Elsewhere:
    """A model that says of customers whether they will not pay; on a clock that is moved by hand."""

    def __init__(self, folder: Path, outcomes: OutcomesSection | None = None, task: Task = "binary") -> None:
        self.clock = ManualClock(START + 400 * DAY)
        self.db = open_database(folder, self.clock)
        Ledger(self.db, None)
        held = open_services(self.db, folder / "objects")
        self.sources = Sources(
            held.tracking,
            held.datasets,
            held.evaluation,
            ExternalService(self.db, held.serving),
            held.predictions,
            held.monitoring,
            held.objects,
        )
        self.watch = ExternalWatch(self.sources)
        self.rng = np.random.default_rng(3)
        self.sources.external.declare("credit", task, MONITOR, outcomes)

    def make(self, day: float, n: int, *, shift: float = 0.0, bad: float = 0.3, right: float = 0.9) -> pl.DataFrame:
        """Predictions of one day with what will turn out to be true, `bad` of them 1, and `right` of them as said."""
        truth = (self.rng.random(n) < bad).astype(int)
        said = np.where(self.rng.random(n) < right, truth, 1 - truth)
        return pl.DataFrame(
            {
                "id": [f"{day}-{number}" for number in range(n)],
                "customer": [f"c{day}-{number}" for number in range(n)],
                "at": [START + day * DAY + DAY * (number / n) for number in range(n)],
                "income": self.rng.normal(50 + shift, 10, n),
                "region": self.rng.choice(["north", "south"], n).tolist(),
                "score": np.where(said == 1, 0.8, 0.2),
                "truth": truth,
            }
        )

    def log(self, frame: pl.DataFrame, roles: Roles = ROLES, **more: Any) -> Logged:
        """Log predictions; the truth stays unknown unless `roles` name it."""
        held = frame if roles.label else frame.drop("truth", strict=False)
        return log_rows(self.sources, "credit", held, roles, classes=more.pop("classes", [0, 1]), **more)

    def answer(self, frame: pl.DataFrame, after: timedelta = DAY) -> OutcomesAdded:
        """Say what turned out to be true of some predictions, so long after each."""
        outcomes = [
            EntityOutcome(entity=name, value=truth, at=at + after)
            for name, truth, at in frame.select("id", "truth", "at").iter_rows()
        ]
        return self.sources.predictions.add_entity_outcomes("credit", outcomes)

    def windows(self) -> list[Window]:
        """What the monitor has recorded."""
        return self.sources.monitoring.list_windows("credit", limit=1000)

    def maturities(self) -> list[Maturity]:
        """How ripe these windows are."""
        return [window.maturity for window in self.windows() if window.maturity is not None]

    def alerts(self, status: Any = "open") -> list[Alert]:
        """What was raised."""
        return self.sources.monitoring.list_alerts("credit", status)

    def tick(self) -> bool:
        """Let the monitor work off what came in."""
        return self.watch.tick()

"""What the controller needs of a penstock: the services of the nouns below it, and the object store."""

from typing import Protocol

from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.loop.service import LoopService
from penstock.monitoring.monitor import MonitorSources
from penstock.pipelines.service import PipelineService
from penstock.registry.trust.service import TrustService
from penstock.tracking.service import TrackingService


class LoopSources(MonitorSources, Protocol):
    """Services by name, all of one database in this process: a step and its effects are one transaction."""

    @property
    def tracking(self) -> TrackingService:
        """Runs, and what they read."""
        ...

    @property
    def datasets(self) -> DatasetService:
        """Versions of the data."""
        ...

    @property
    def evaluation(self) -> EvaluationService:
        """Reports and verdicts."""
        ...

    @property
    def pipelines(self) -> PipelineService:
        """Runs of the pipeline."""
        ...

    @property
    def trust(self) -> TrustService:
        """Whose code may run."""
        ...

    @property
    def loop(self) -> LoopService:
        """Episodes and decisions."""
        ...

"""What the monitor needs of a penstock, in this process or elsewhere."""

from typing import Protocol

from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.monitoring.models import ModelVersions, Revisions
from penstock.monitoring.service import MonitoringService
from penstock.predictions.service import PredictionService
from penstock.storage.objects.object_store import ObjectStore
from penstock.tracking.service import TrackingService


class MonitorSources(Protocol):
    """Services by name, and the object store."""

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
        """Reports, with labelled rows that a model did not learn from."""
        ...

    @property
    def monitoring(self) -> MonitoringService:
        """Windows and alerts."""
        ...

    @property
    def predictions(self) -> PredictionService:
        """Predictions and outcomes."""
        ...

    @property
    def registry(self) -> ModelVersions:
        """Model versions and their references."""
        ...

    @property
    def serving(self) -> Revisions:
        """Which revision serves which version."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Where predictions and references lie."""
        ...

"""What a worker needs of a penstock: the verbs of some services, in this process or at the other end of HTTP."""

from typing import Protocol

from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.pipelines.service import PipelineService
from penstock.registry.service import RegistryService
from penstock.registry.trust.service import TrustService
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.service import TrackingService


class WorkPort(Protocol):
    """The services that a worker calls, from several threads.

    A verb that got no answer raises UnavailableError and may be called again: each of them can be repeated.
    """

    @property
    def pipelines(self) -> PipelineService:
        """Runs and their steps."""
        ...

    @property
    def tracking(self) -> TrackingService:
        """Metrics of runs."""
        ...

    @property
    def artifacts(self) -> ArtifactService:
        """Files of runs."""
        ...

    @property
    def datasets(self) -> DatasetService:
        """Versions of the data."""
        ...

    @property
    def registry(self) -> RegistryService:
        """The present champion."""
        ...

    @property
    def trust(self) -> TrustService:
        """Whose code may run."""
        ...

    @property
    def evaluation(self) -> EvaluationService:
        """Reports on candidates."""
        ...

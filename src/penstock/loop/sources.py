"""What the controller needs of a penstock: the services of the nouns below it, and the object store."""

from typing import Protocol

from penstock.loop.service import LoopService
from penstock.monitoring.sources import MonitorSources
from penstock.pipelines.service import PipelineService
from penstock.registry.service import RegistryService
from penstock.registry.trust.service import TrustService
from penstock.serving.service import ServingService


class LoopSources(MonitorSources, Protocol):
    """Services by name, all of one database in this process: a step and its effects are one transaction."""

    @property
    def registry(self) -> RegistryService:
        """Models, versions and aliases."""
        ...

    @property
    def serving(self) -> ServingService:
        """Deployments and rollouts."""
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

"""Watches deployments that are served elsewhere with the same monitor as ours: it finds a model's versions, their
classes and references here, in place of the registry, and the version that answers in place of the routing.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from penstock.core.errors import NotFoundError
from penstock.core.ids import Digest
from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.monitoring.external.ingest import LogSources
from penstock.monitoring.external.types import ExternalDeployment, ExternalVersion
from penstock.monitoring.monitor import Monitor
from penstock.monitoring.references import References
from penstock.monitoring.service import MonitoringService
from penstock.predictions.service import PredictionService
from penstock.registry.format.types import Signature
from penstock.registry.types import ModelVersion
from penstock.serving.types import Deployment, Revision
from penstock.storage.objects.object_store import ObjectStore
from penstock.tracking.service import TrackingService

NO_TREE = Digest("")  # its files are elsewhere

log = logging.getLogger(__name__)


class WatchSources(LogSources, Protocol):
    """What watching needs of a penstock in this process."""

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
        """Reports."""
        ...

    @property
    def monitoring(self) -> MonitoringService:
        """Windows and alerts."""
        ...


class ExternalWatch:
    """Ticks a monitor for each deployment that is served elsewhere. Not safe to share between threads."""

    def __init__(self, sources: WatchSources) -> None:
        self._sources = sources
        self._monitors: dict[str, tuple[ExternalDeployment, list[ExternalVersion], Monitor]] = {}

    def tick(self) -> bool:
        """Work off what came in for any of them; returns whether anything changed.

        One that fails keeps none of the others waiting; its error is raised once they are done.
        """
        changed, failed = False, list[Exception]()
        for deployment in self._sources.external.list_deployments():
            try:
                changed = self._monitor(deployment).tick() or changed
                changed = self._drop_references(deployment) or changed
            except Exception as error:
                log.warning("watching failed", extra={"deployment": deployment.name}, exc_info=error)
                failed.append(error)
        if failed:
            raise failed[0]
        return changed

    def _drop_references(self, deployment: ExternalDeployment) -> bool:
        """Keep the rows that inputs are held against no longer than inputs; returns whether any were dropped."""
        kept_for = deployment.monitor.keep_inputs
        if kept_for is None:
            return False
        before = self._sources.external.db.clock.now() - kept_for
        versions = self._sources.external.list_versions(deployment.name)
        due = [held for held in versions if held.reference_dropped_at is None and held.created_at < before]
        if not due:
            return False
        models = ExternalModels(deployment, {held.version: held for held in versions})
        references = References(self._sources.monitoring, self._sources.objects, deployment.to_project())
        for held in due:
            references.forget_rows(models.get_version(deployment.name, held.version))
            self._sources.external.drop_reference(deployment.name, held.version)
        return True

    def _monitor(self, deployment: ExternalDeployment) -> Monitor:
        versions = self._sources.external.list_versions(deployment.name)
        known = self._monitors.get(deployment.name)
        if known is None or known[:2] != (deployment, versions):
            known = (deployment, versions, open_monitor(self._sources, deployment, versions))
            self._monitors[deployment.name] = known
        return known[2]


def open_monitor(sources: WatchSources, deployment: ExternalDeployment, versions: list[ExternalVersion]) -> Monitor:
    """The monitor of one deployment that is served elsewhere."""
    models = ExternalModels(deployment, {held.version: held for held in versions})
    return Monitor(
        _Sources(
            tracking=sources.tracking,
            datasets=sources.datasets,
            evaluation=sources.evaluation,
            monitoring=sources.monitoring,
            predictions=sources.predictions,
            objects=sources.objects,
            registry=models,
            serving=models,
        ),
        deployment.to_project(),
    )


class ExternalModels:
    """The versions of a model that is served elsewhere, as the monitor asks for them. Its rows name versions."""

    def __init__(self, deployment: ExternalDeployment, versions: Mapping[int, ExternalVersion]) -> None:
        self._deployment = deployment
        self._versions = versions

    def get_version(self, model: str, version: int) -> ModelVersion:
        """What is known of a version.

        Raises:
            NotFoundError: nobody said that there is one.
        """
        held = self._versions.get(version)
        if held is None:
            raise NotFoundError(f"nothing is known of version {version} of {model!r}")
        return ModelVersion(
            model=model,
            key=model,
            version=version,
            run_id=None,
            tree=None,
            task=self._deployment.task,
            flavor="",
            signature=Signature(held.inputs, ()),
            classes=held.classes,
            reference=held.reference,
            created_at=held.created_at,
            created_by="",
            updated_at=held.created_at,
        )

    def list_revisions(self, deployment: str) -> list[Revision]:
        """A revision for each version, under the same number."""
        return [
            Revision(
                deployment=deployment,
                number=number,
                model=deployment,
                version=number,
                tree=NO_TREE,
                state="stable" if number == max(self._versions) else "replaced",
                created_at=held.created_at,
            )
            for number, held in self._versions.items()
        ]

    def find_deployment(self, deployment: str) -> Deployment | None:
        """The newest version is the one that answers."""
        stable = next((held for held in self.list_revisions(deployment) if held.state == "stable"), None)
        return None if stable is None else Deployment(name=deployment, stable=stable, updated_at=stable.created_at)


@dataclass(frozen=True, kw_only=True)
class _Sources:
    tracking: TrackingService
    datasets: DatasetService
    evaluation: EvaluationService
    monitoring: MonitoringService
    predictions: PredictionService
    objects: ObjectStore
    registry: ExternalModels
    serving: ExternalModels

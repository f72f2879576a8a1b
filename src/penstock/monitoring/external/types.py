"""The records of deployments that are served elsewhere."""

from datetime import datetime
from pathlib import Path

from msgspec import Struct

from penstock.core.ids import Digest, Ref
from penstock.core.project.types import MonitorSection, OutcomesSection, Project, ProjectSection, Task
from penstock.registry.format.types import Column, Label


class ExternalDeployment(Struct, frozen=True, kw_only=True):
    """A deployment whose predictions come from elsewhere, and how they are watched."""

    name: str
    task: Task
    monitor: MonitorSection = MonitorSection()
    outcomes: OutcomesSection = OutcomesSection()
    created_at: datetime

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return Ref("deployment", self.name)

    def to_project(self) -> Project:
        """What the project file of a deployment that is served here would say of it."""
        about = ProjectSection(name=self.name, task=self.task)
        return Project(root=Path(), project=about, monitor=self.monitor, outcomes=self.outcomes)


class ExternalVersion(Struct, frozen=True, kw_only=True):
    """A version of the model that is served elsewhere, by the number its owner gives it."""

    deployment: str
    version: int
    inputs: tuple[Column, ...]  # what is watched for drift
    classes: tuple[Label, ...] = ()  # of classifiers; the last is the positive one of two
    reference: Digest  # Parquet: what its inputs are held against; a file, or its first batch
    created_at: datetime
    reference_dropped_at: datetime | None = None  # since then its sketch stands for it

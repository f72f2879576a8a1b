"""The records of the model registry: models, versions, aliases and their history."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from penstock.core.ids import Digest, Ref, ReportId, RunId
from penstock.core.project.types import Task
from penstock.registry.format.types import Label, Signature

CHAMPION = "champion"  # the version that serves
CHALLENGER = "challenger"  # the version that wants to


class VersionStatus(StrEnum):
    """Whether a version may still be used for something new."""

    READY = "ready"
    ARCHIVED = "archived"


class Model(Struct, frozen=True, kw_only=True):
    """A name with versions under it."""

    name: str
    latest_version: int
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return Ref("model", self.name)


class ModelVersion(Struct, frozen=True, kw_only=True):
    """A trained model, numbered 1, 2, 3 ... under its name and never changed; only status and tags may."""

    model: str
    version: int
    run_id: RunId | None  # the run that made it
    tree: Digest  # the model directory
    task: Task
    flavor: str
    signature: Signature
    classes: tuple[Label, ...] = ()  # of classifiers, in the order of `probabilities`
    label: str = ""  # the column it predicts
    reference: Digest | None = None  # rows it was tested on, as Parquet: what monitoring compares traffic with
    report_id: ReportId | None = None  # its evaluation
    status: VersionStatus = VersionStatus.READY
    created_at: datetime
    created_by: str
    tags: dict[str, str] = {}

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return version_ref(self.model, self.version)

    @property
    def uri(self) -> str:
        """How people and MLflow name it."""
        return f"models:/{self.model}/{self.version}"


class Alias(Struct, frozen=True, kw_only=True):
    """A name that points at one version of a model, for now."""

    model: str
    alias: str
    version: int
    moved_at: datetime
    moved_by: str
    reason: str = ""


class AliasMove(Struct, frozen=True, kw_only=True):
    """A change of an alias; the moves of an alias are numbered 1, 2, 3 ..."""

    model: str
    alias: str
    number: int
    at: datetime
    actor: str
    reason: str
    before: int | None  # None: there was no such alias
    after: int | None  # None: it was removed


def version_ref(model: str, version: int) -> Ref:
    """How lineage and audit name a version."""
    return Ref("model-version", f"{model}/{version}")

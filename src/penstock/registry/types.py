"""The records of the model registry: models, versions, aliases and their history."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from penstock.core.errors import ConflictError
from penstock.core.ids import Digest, Ref, ReportId, RunId
from penstock.core.project.types import Task
from penstock.registry.format.types import FastForm, Label, Signature

CHAMPION = "champion"  # the version that serves
CHALLENGER = "challenger"  # the version that wants to


class VersionStatus(StrEnum):
    """Whether a version may still be used for something new."""

    READY = "ready"
    ARCHIVED = "archived"


class Stage(StrEnum):
    """A label that MLflow's clients put on a version; aliases, statuses and traffic do not follow from it."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


class Model(Struct, frozen=True, kw_only=True):
    """A name with versions under it."""

    key: str  # the name it was made with, and what lineage and audit go on calling it
    name: str
    latest_version: int  # the last number given; one of a version that was deleted is not given again
    description: str = ""
    created_at: datetime
    created_by: str
    updated_at: datetime
    deleted_at: datetime | None = None
    tags: dict[str, str] = {}

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return Ref("model", self.key)


class ModelVersion(Struct, frozen=True, kw_only=True):
    """A trained model, numbered 1, 2, 3 ... under its name; what it is never changes, what is said of it may.

    Of a version that a client registered from elsewhere, what nobody can know is None or empty.
    """

    model: str  # its name now
    key: str  # of the model
    version: int
    run_id: RunId | None  # the run that made it
    tree: Digest | None  # the model directory
    task: Task | None
    flavor: str
    signature: Signature
    classes: tuple[Label, ...] = ()  # of classifiers, in the order of `probabilities`
    label: str = ""  # the column it predicts
    reference: Digest | None = None  # rows it was tested on, as Parquet: what monitoring compares traffic with
    report_id: ReportId | None = None  # its evaluation
    status: VersionStatus = VersionStatus.READY
    stage: Stage = Stage.NONE
    description: str = ""
    source: str = ""  # the URI that a client registered it from
    location: str = ""  # where clients download it from
    run_link: str = ""  # a page about its run, elsewhere
    logged_model_id: str = ""
    created_at: datetime
    created_by: str
    updated_at: datetime
    tags: dict[str, str] = {}
    fast_form: FastForm | None = None  # what came of compiling it; None: nobody has tried yet
    fast_tree: Digest | None = None  # a copy of its directory with the fast form; None where its own has it, or none

    @property
    def ref(self) -> Ref:
        """How lineage and audit name it."""
        return version_ref(self.key, self.version)

    @property
    def uri(self) -> str:
        """How people and MLflow name it."""
        return f"models:/{self.model}/{self.version}"

    def get_tree(self) -> Digest:
        """Its model directory.

        Raises:
            ConflictError: the files of this version are not kept here.
        """
        if self.tree is None:
            where = f"at {self.source}" if self.source else "elsewhere"
            raise ConflictError(
                f"version {self.version} of model {self.model!r} was registered without its files, which are {where}",
                hint="log the model to this server and register it again",
            )
        return self.tree

    def describe_form(self) -> str:
        """Which of its forms runs and why, in a line; empty where its files are not kept here."""
        if self.tree is None:
            return ""
        if self.fast_form is None:
            return "as it is: it waits for a server to compile it"
        return self.fast_form.describe()


class Alias(Struct, frozen=True, kw_only=True):
    """A name that points at one version of a model, for now."""

    model: str
    alias: str
    version: int
    moved_at: datetime
    moved_by: str
    reason: str = ""


class ChangeKind(StrEnum):
    """What a change in the history of a model was about."""

    ALIAS = "alias"
    STAGE = "stage"
    STATUS = "status"
    NAME = "name"
    DELETED = "deleted"  # the model, or one version


class ModelChange(Struct, frozen=True, kw_only=True):
    """One entry in the history of a model; they are numbered 1, 2, 3 ..."""

    number: int
    at: datetime
    actor: str
    kind: ChangeKind
    alias: str = ""  # the one that moved
    version: int | None = None  # the one that was changed, or that the alias points at now
    before: str | None = None  # version, stage, status or name; None where there was none
    after: str | None = None
    reason: str = ""
    evidence: tuple[str, ...] = ()  # what the decision rests on, as kind:id: report, verdict, episode, rollout


class AliasMove(Struct, frozen=True, kw_only=True):
    """A change of an alias."""

    model: str
    alias: str
    number: int  # of the change, in the history of the model
    at: datetime
    actor: str
    reason: str
    before: int | None  # None: there was no such alias
    after: int | None  # None: it was removed
    evidence: tuple[str, ...] = ()


class ModelOverview(Struct, frozen=True, kw_only=True):
    """A model with what clients want to see beside it."""

    model: Model
    latest: tuple[ModelVersion, ...]  # the newest version of each stage
    aliases: tuple[Alias, ...]


class ModelPage(Struct, frozen=True, kw_only=True):
    """Some of the models that were searched for."""

    models: list[Model]
    next_page_token: str = ""  # to go on with; empty at the end


class VersionPage(Struct, frozen=True, kw_only=True):
    """Some of the versions that were searched for."""

    versions: list[ModelVersion]
    next_page_token: str = ""  # to go on with; empty at the end


def version_ref(key: str, version: int) -> Ref:
    """How lineage and audit name a version."""
    return Ref("model-version", f"{key}/{version}")

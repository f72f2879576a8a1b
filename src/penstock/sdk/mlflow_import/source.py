"""What an MLflow store offers to the importer, wherever it lies: the port, and the records that pass through it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from penstock.core.errors import InvalidInputError, PenstockError
from penstock.tracking.histories import History
from penstock.tracking.inputs.types import ModelOutput, RunInputs
from penstock.tracking.logged_models.points import ModelPoint
from penstock.tracking.logged_models.types import LoggedModelStatus
from penstock.tracking.types import RunStatus

RUN_NAME, PARENT = "mlflow.runName", "mlflow.parentRunId"
DELETED_VERSION = "Deleted_Internal"  # the stage under which MLflow keeps versions that were deleted


class UnreadableArtifactsError(PenstockError):
    """Artifacts lie where this process cannot read them."""


class SourceExperiment(Struct, frozen=True, kw_only=True):
    """An experiment of an MLflow store; times are in milliseconds."""

    id: str
    name: str
    created_ms: int
    updated_ms: int
    is_deleted: bool
    tags: dict[str, str]


class SourceRun(Struct, frozen=True, kw_only=True):
    """A run of an MLflow store, without its points and artifacts; times are in milliseconds."""

    id: str
    name: str
    status: RunStatus
    started_ms: int
    ended_ms: int | None
    user: str
    is_deleted: bool
    deleted_ms: int | None  # None: not known
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    inputs: RunInputs = RunInputs()
    outputs: tuple[ModelOutput, ...] = ()


class SourceLoggedModel(Struct, frozen=True, kw_only=True):
    """A logged model of an MLflow store, without its artifacts; times are in milliseconds."""

    id: str
    name: str
    model_type: str
    source_run_id: str
    status: LoggedModelStatus
    status_message: str
    created_ms: int
    updated_ms: int
    is_deleted: bool
    artifact_uri: str
    params: dict[str, str]
    tags: dict[str, str]
    points: tuple[ModelPoint, ...] = ()


SourceOwner = SourceRun | SourceLoggedModel  # whom artifacts belong to


class SourceFile(Struct, frozen=True):
    """An artifact by its path below the root of its owner."""

    path: str
    size_bytes: int
    problem: str = ""  # why it cannot be copied, and the way out; empty where it can


class SourceVersion(Struct, frozen=True, kw_only=True):
    """A version of a registered model; times are in milliseconds."""

    number: int
    is_deleted: bool
    created_ms: int
    updated_ms: int
    stage: str
    description: str
    user: str
    source: str
    run_id: str
    run_link: str
    tags: dict[str, str]


class SourceModel(Struct, frozen=True, kw_only=True):
    """A registered model with all its versions; times are in milliseconds."""

    name: str
    created_ms: int
    updated_ms: int
    description: str
    tags: dict[str, str]
    aliases: dict[str, int]
    versions: tuple[SourceVersion, ...]


class Progress(Protocol):
    """Whom an import tells how far it is."""

    def begin(self, text: str, runs: int | None) -> None:
        """Something new begins, with so many runs; None: nobody knows how many."""
        ...

    def advance(self) -> None:
        """One run is done."""
        ...

    def tell(self, text: str) -> None:
        """What takes its time just now; empty when it is over."""
        ...


class Source(Protocol):
    """One MLflow store, read only. Used by one thread.

    Raises:
        UnavailableError: it cannot be reached just now; from any method.
        InvalidInputError: it holds something that no MLflow writes; the message says where.
    """

    label: str  # how reports name it
    problems: list[str]  # what of it could not be read so far, each in words; the rest is given all the same

    def list_experiments(self) -> list[SourceExperiment]:
        """Every experiment, deleted ones too."""
        ...

    def count_runs(self, experiment_id: str) -> int | None:
        """How many runs an experiment has; None where counting them costs as much as reading them."""
        ...

    def each_run(self, experiment_id: str) -> Iterator[SourceRun]:
        """Every run of an experiment, deleted ones too."""
        ...

    def read_points(self, run: SourceRun) -> Iterator[tuple[str, History]]:
        """Every metric of a run with all its points, in any order."""
        ...

    def each_logged_model(self, experiment_id: str) -> Iterator[SourceLoggedModel]:
        """Every logged model of an experiment, deleted ones too where the store tells of them."""
        ...

    def list_files(self, owner: SourceOwner) -> list[SourceFile]:
        """The artifacts of a run or logged model; UnreadableArtifactsError where none can be read from here."""
        ...

    def open_file(self, owner: SourceOwner, file: SourceFile) -> contextlib.AbstractContextManager[Path]:
        """An artifact as a file of this machine, for the time of the `with`; UnreadableArtifactsError where not."""
        ...

    def list_models(self) -> list[SourceModel]:
        """Every registered model; none where the store has no registry."""
        ...

    def count_others(self) -> dict[str, int]:
        """What else is there that nobody takes over, such as traces: how many of each kind, by its name."""
        ...

    def close(self) -> None:
        """End connections."""
        ...


def to_status(told: str | int | None) -> RunStatus:
    """The status of a run as MLflow writes it: a word, or in folders a number."""
    numbers = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
    word = numbers.get(told, str(told)) if isinstance(told, int) else told or "RUNNING"
    try:
        return RunStatus(word.lower())
    except ValueError:
        raise InvalidInputError(f"{word[:100]!r} is no status of a run", hint="mend it, and import again") from None


def to_model_status(told: str | int | None) -> LoggedModelStatus:
    """The status of a logged model as MLflow writes it: a word, with or without a prefix, or a number."""
    numbers = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}
    word = numbers.get(told, str(told)) if isinstance(told, int) else told or "UNSPECIFIED"
    word = word.removeprefix("LOGGED_MODEL_").removeprefix("UPLOAD_")
    named = {"READY": LoggedModelStatus.READY, "FAILED": LoggedModelStatus.UPLOAD_FAILED}
    return named.get(word, LoggedModelStatus.PENDING)

"""What an MLflow store offers to the importer, wherever it lies: the port, and the records that pass through it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from penstock.core.errors import PenstockError
from penstock.tracking.histories import History
from penstock.tracking.types import RunStatus

RUN_NAME, PARENT = "mlflow.runName", "mlflow.parentRunId"
DELETED_VERSION = "Deleted_Internal"  # the stage under which MLflow keeps versions that were deleted


class UnreadableArtifactsError(PenstockError):
    """The artifacts of a run lie where this process cannot read them."""


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
    metrics: tuple[str, ...] = ()  # their keys


class SourceFile(Struct, frozen=True):
    """An artifact by its path below the root of its run."""

    path: str
    size_bytes: int


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


class Source(Protocol):
    """One MLflow store, read only. Used by one thread.

    Raises:
        UnavailableError: it cannot be reached just now; from any method.
        InvalidInputError: it holds something that no MLflow writes; the message says where.
    """

    label: str  # how reports name it

    def list_experiments(self) -> list[SourceExperiment]:
        """Every experiment, deleted ones too."""
        ...

    def count_runs(self, experiment_id: str) -> int | None:
        """How many runs an experiment has; None where counting them costs as much as reading them."""
        ...

    def each_run(self, experiment_id: str) -> Iterator[SourceRun]:
        """Every run of an experiment, deleted ones too."""
        ...

    def read_points(self, run: SourceRun, key: str) -> History:
        """Every point of a metric, in any order."""
        ...

    def list_files(self, run: SourceRun) -> list[SourceFile]:
        """The artifacts of a run; UnreadableArtifactsError where they cannot be read from here."""
        ...

    def open_file(self, run: SourceRun, file: SourceFile) -> contextlib.AbstractContextManager[Path]:
        """An artifact as a file of this machine, for the time of the `with`."""
        ...

    def list_models(self) -> list[SourceModel]:
        """Every registered model; none where the store has no registry."""
        ...

    def close(self) -> None:
        """End connections."""
        ...


def to_status(text: str | int | None) -> RunStatus:
    """The status of a run as MLflow writes it: a word, or in folders a number."""
    numbers = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
    word = numbers.get(text, "RUNNING") if isinstance(text, int) else text or "RUNNING"
    return RunStatus(word.lower())

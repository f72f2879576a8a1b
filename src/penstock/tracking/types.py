"""The records of tracking: experiments, runs, metric points and comparisons."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from penstock.core.ids import Digest, ExperimentId, Ref, RunId

# JSON has no NaN or infinity, and a diverged loss is worth keeping.
NonFinite = Literal["NaN", "Infinity", "-Infinity"]


class RunStatus(StrEnum):
    """Where a run stands; it ends in one of the last three."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


class Experiment(Struct, frozen=True, kw_only=True):
    """A named collection of runs."""

    id: ExperimentId
    name: str
    artifact_location: str = ""  # where its runs' artifacts go; empty: the server's own store
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None  # None: not deleted
    created_by: str
    tags: dict[str, str] = {}

    @property
    def ref(self) -> Ref:
        """How other nouns point at this experiment."""
        return Ref("experiment", str(self.id))


class View(StrEnum):
    """Which things a list shows: those that are there, those that were deleted, or both."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"


class RunSource(Struct, frozen=True, kw_only=True):
    """What a run was started from; what is unknown is None or empty."""

    git_commit: str | None = None
    git_dirty_diff: Digest | None = None  # of the uncommitted changes; None when there are none
    environment_lock: Digest | None = None  # of the interpreter and every installed package
    seed: int | None = None
    command: str = ""
    host: str = ""


class Metric(Struct, frozen=True):
    """One measured value of a run."""

    key: str
    value: float | NonFinite
    step: int = 0
    at: datetime | None = None  # UTC; always set on what is read back, the moment of arrival when not given

    @property
    def number(self) -> float:
        """The value as a float, NaN and infinities included."""
        return float(self.value)


class MetricPage(Struct, frozen=True):
    """A part of a metric's history, by time, then step."""

    points: tuple[Metric, ...]
    next: str  # give it as `after` to go on; empty on the last page


class Run(Struct, frozen=True, kw_only=True):
    """One execution whose parameters, metrics and artifacts are recorded."""

    id: RunId  # sorts by creation time
    experiment: str
    experiment_id: ExperimentId
    name: str
    status: RunStatus = RunStatus.RUNNING
    started_at: datetime  # UTC
    ended_at: datetime | None = None  # None until it ends
    deleted_at: datetime | None = None  # None: not deleted
    created_by: str = ""
    artifact_uri: str = ""
    parent: RunId | None = None
    source: RunSource = RunSource()
    params: dict[str, str] = {}
    metrics: dict[str, Metric] = {}  # the latest point of each key: greatest step, then time
    tags: dict[str, str] = {}
    inputs: tuple[Ref, ...] = ()  # what it read, such as dataset versions

    @property
    def ref(self) -> Ref:
        """How other nouns point at this run."""
        return Ref("run", self.id)


class RunPage(Struct, frozen=True):
    """A part of what a search for runs found, in the order asked for."""

    runs: tuple[Run, ...]
    next: str  # give it as `page_token` to go on; empty on the last page


class ExperimentPage(Struct, frozen=True):
    """A part of what a search for experiments found, in the order asked for."""

    experiments: tuple[Experiment, ...]
    next: str  # give it as `page_token` to go on; empty on the last page


class ComparedParam(Struct, frozen=True):
    """A parameter side by side; None where a run has none."""

    key: str
    values: tuple[str | None, ...]
    differs: bool


class ComparedMetric(Struct, frozen=True):
    """The latest value of a metric side by side; None where a run has none."""

    key: str
    values: tuple[float | NonFinite | None, ...]
    differs: bool


class Comparison(Struct, frozen=True):
    """Several runs side by side, in the order asked for."""

    runs: tuple[Run, ...]
    params: tuple[ComparedParam, ...]
    metrics: tuple[ComparedMetric, ...]

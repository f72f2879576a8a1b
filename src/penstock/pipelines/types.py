"""The records of pipelines: runs, their steps, and the candidates they end with."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct

from penstock.core.ids import Digest, EpisodeId, Ref, ReportId, RunId
from penstock.pipelines.keys import KeyParts
from penstock.pipelines.values.types import StoredValue
from penstock.registry.format.types import ModelInfo
from penstock.tracking.types import RunStatus


class StepStatus(StrEnum):
    """Where a step of a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    CACHED = "cached"  # not run: an equal one was found
    FAILED = "failed"

    @property
    def is_done(self) -> bool:
        """Whether it has a result."""
        return self in (StepStatus.FINISHED, StepStatus.CACHED)


class StepRun(Struct, frozen=True, kw_only=True):
    """One step of one run."""

    run_id: RunId
    name: str
    number: int  # its place in the pipeline, from 1
    status: StepStatus
    attempt: int = 1  # of this key in this run; 0 where it was not run
    key: str
    parts: KeyParts
    output: StoredValue | None = None  # once it is done
    message: str = ""  # why it failed, or where a cached result comes from
    started_at: datetime
    ended_at: datetime | None = None
    cpu_s: float = 0.0
    peak_memory_bytes: int | None = None

    @property
    def wall_s(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None


class CandidateRecord(Struct, frozen=True, kw_only=True):
    """What a finished run offers to the registry."""

    model: Digest  # the tree of its model directory
    info: ModelInfo  # what that directory holds
    test: Digest  # the rows it was tested on, a Parquet file
    reference: Digest  # the rows that live input is compared with, a Parquet file of the model's inputs
    label: str
    report_id: ReportId
    champion: str = ""  # the model version it was compared with, such as suggest/3; empty where there was none
    champion_report_id: ReportId | None = None  # that version on the same rows
    champion_error: str = ""  # why that version could not be measured; a gate that needs it must not pass then


class RowSpan(Struct, frozen=True, kw_only=True):
    """Which rows of the data a run reads, in place of what the project's strategy says."""

    since: datetime | None = None  # from this moment on; None for all
    until: datetime | None = None  # before this moment; None for all that the run may read
    half_life: timedelta | None = None  # rows so much older count half


class Probe(Struct, frozen=True, kw_only=True):
    """Cheap challengers: the pipeline on few rows of each span, and some versions beside them, on the same newer rows.

    Nothing that is made is kept: it is asked what a retrain would gain, and on which rows.
    """

    spans: dict[str, RowSpan]  # what challengers learn from, by name
    versions: tuple[int, ...]  # of the project's model, tried as they are
    table: Digest  # what all are tried on, a Parquet file: the inputs and the label
    most: int = 3_000  # rows that a challenger learns from


def name_version(number: int) -> str:
    """How a version is called in a probe."""
    return f"version {number}"


def read_version(name: str) -> int | None:
    """The version of that name; None of a challenger."""
    word, _, number = name.partition(" ")
    return int(number) if word == "version" else None


class ProbeResult(Struct, frozen=True, kw_only=True):
    """What each challenger and version (as `version 3`) lost on the rows of a probe."""

    losses: dict[str, StoredValue] = {}  # arrays of shape (n,), each between 0 and 1; NaN of a row that says nothing
    problems: dict[str, str] = {}  # why one could not be tried
    cpu_s: float = 0.0  # that it took


class PipelineRun(Struct, frozen=True, kw_only=True):
    """One execution of a project's pipeline. It is the tracking run of the same id as well."""

    id: RunId
    project: str
    params: dict[str, Any] = {}  # on top of those of the project file
    reason: str = ""
    episode: EpisodeId | None = None
    until: datetime | None = None  # only rows before this moment are read
    status: RunStatus = RunStatus.SCHEDULED
    requested_at: datetime
    requested_by: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    worker: str = ""  # who holds it
    fence: int = 0  # grows with every claim; effects of older claims are refused
    lease_expires_at: datetime | None = None
    error: str = ""  # why it failed
    candidate: CandidateRecord | None = None  # once it has finished
    rows: RowSpan | None = None  # in place of what the project's strategy says
    probe: Probe | None = None  # it trains no candidate, but asks what one would gain
    probed: ProbeResult | None = None  # once it has

    @property
    def ref(self) -> Ref:
        """How other nouns point at this run."""
        return Ref("run", self.id)

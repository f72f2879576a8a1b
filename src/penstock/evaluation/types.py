"""The records of evaluation: a report with its metrics, baselines and slices, and the verdict of the gates on it."""

from datetime import datetime
from typing import Any, TypeVar

import msgspec
from blake3 import blake3
from msgspec import Struct

from penstock.core import codec
from penstock.core.ids import Digest, Ref, ReportId
from penstock.core.project.types import Task
from penstock.stats.comparison import Comparison

R = TypeVar("R", bound="Report | Verdict")


class MetricValue(Struct, frozen=True, kw_only=True):
    """One metric on some rows, with its interval.

    Attributes:
        name: as in a project file.
        value: None where the metric is undefined or the model does not give what it reads.
        low: lower end of the interval; None where there is none, as for coverage or too few rows.
        high: upper end, or None.
        n: rows that were scored.
        higher_is_better: which way is better.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    higher_is_better: bool


class BaselineResult(Struct, frozen=True, kw_only=True):
    """A prediction that comes for free, on the same rows.

    Attributes:
        name: majority, mean, median, last_value, popularity, or the caller's own.
        learned_from: `training` labels, or the `test` labels where no others were given (which favours it).
        metrics: as for the model.
        comparison: the model against it on the primary metric; `better` means that the model is worth its cost.
    """

    name: str
    learned_from: str
    metrics: tuple[MetricValue, ...]
    comparison: Comparison | None


class SliceResult(Struct, frozen=True, kw_only=True):
    """The rows that share a value of a column.

    Attributes:
        name: `column=value`, as gates refer to it.
        column: of the test data.
        value: the value, or the range of numbers.
        n: rows.
        metrics: the primary metric and those that gates ask for.
        rest: the primary metric on all other rows.
        difference: how much better the slice is than the rest; below zero is worse.
        p_value: of being no worse than the rest, one-sided, corrected for the number of slices (Holm).
        is_worse: significantly worse than the rest.
    """

    name: str
    column: str
    value: str
    n: int
    metrics: tuple[MetricValue, ...]
    rest: float | None = None
    difference: float | None = None
    p_value: float | None = None
    is_worse: bool = False


class Report(Struct, frozen=True, kw_only=True):
    """How good one model is on one set of rows; never changed once it is made.

    Attributes:
        id: digest of all the rest.
        task: of the project.
        model: digest of the model's directory; empty where it has none yet.
        data: what was tested on, as a digest or a ref; empty where unknown.
        run_id: of the run that made the model.
        label: the column of the truth.
        primary: the metric that the model is judged by.
        rows: rows with a label.
        unlabelled: rows that had none and were left out.
        rows_digest: of the test rows themselves; two reports compare in pairs only where it is the same.
        cluster: the column whose rows may depend on one another (a customer), or None.
        clusters: how many of them.
        confidence: of all intervals.
        scores: object with what each row adds to each metric, for paired tests.
    """

    id: ReportId = ReportId("")
    task: Task
    model: str = ""
    data: str = ""
    run_id: str = ""
    label: str
    primary: str
    rows: int
    unlabelled: int = 0
    rows_digest: str
    cluster: str | None = None
    clusters: int | None = None
    confidence: float
    seed: int
    metrics: tuple[MetricValue, ...]
    baselines: tuple[BaselineResult, ...] = ()
    slices: tuple[SliceResult, ...] = ()
    scores: Digest = Digest("")

    @property
    def ref(self) -> Ref:
        """How lineage and audit point at this report."""
        return Ref("report", self.id)

    def find_metric(self, name: str) -> MetricValue | None:
        """The metric of that name on all rows, or None."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def find_slice(self, name: str) -> SliceResult | None:
        """The slice `column=value`, or None."""
        return next((part for part in self.slices if part.name == name), None)


class ReportSummary(Struct, frozen=True, kw_only=True):
    """A report in a list."""

    id: ReportId
    task: Task
    model: str
    data: str
    run_id: str
    primary: str
    primary_value: float | None
    rows: int
    created_at: datetime


class GateResult(Struct, frozen=True, kw_only=True):
    """What one gate said.

    Attributes:
        kind: metric, champion, fairness, robustness, latency, approval.
        passed: an unknown never passes.
        metric: what was looked at.
        number: the metric, or for `champion` by how much the candidate is better; None where unknown.
        bar: what it had to reach.
        margin: the loss that was put up with.
        low: lower end of the interval of `number`.
        high: upper end.
        message: all of this in a sentence.
        evidence: ids of reports, values of both models, the test, p-value, rows.
    """

    kind: str
    passed: bool
    metric: str = ""
    number: float | None = None
    bar: float | None = None
    margin: float | None = None
    low: float | None = None
    high: float | None = None
    message: str
    evidence: dict[str, Any] = {}


class Verdict(Struct, frozen=True, kw_only=True):
    """What all gates said about a report; never changed once it is made.

    Attributes:
        id: digest of all the rest.
        passed: every gate passed.
        report_id: the candidate's report.
        champion_report_id: the champion's on the same rows; None where there is no champion yet.
        gates: in the order of the project file.
        warnings: what no gate forbids but a person should know: a free baseline not beaten, a slice that is worse.
        summary: one sentence.
    """

    id: str = ""
    passed: bool
    report_id: ReportId
    champion_report_id: ReportId | None = None
    gates: tuple[GateResult, ...]
    warnings: tuple[str, ...] = ()
    summary: str

    @property
    def ref(self) -> Ref:
        """How lineage and audit point at this verdict."""
        return Ref("verdict", self.id)


def seal(record: R) -> R:
    """The record with the digest of its content as its id."""
    return msgspec.structs.replace(record, id=content_digest(record))


def content_digest(record: "Report | Verdict") -> str:
    """BLAKE3 of the record's canonical JSON without its id; 64 hexadecimal digits."""
    return blake3(codec.encode(msgspec.structs.replace(record, id=""))).hexdigest()

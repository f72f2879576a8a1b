"""The records of monitoring: windows with their drift and performance, and alerts."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from penstock.core.ids import AlertId, Digest, Ref
from penstock.core.project.types import Severity
from penstock.monitoring.causes.types import Cause, find_cause
from penstock.monitoring.list_parts import ListPart
from penstock.monitoring.windows import name_start

DriftTest = Literal["ks", "chi2", "type", "none"]
AlertKind = Literal["drift", "estimate", "performance", "calibration", "fairness", "latency", "errors"]
UNLABELLED: frozenset[AlertKind] = frozenset(["drift", "estimate", "latency", "errors"])  # no outcome is needed
QUIET: frozenset[AlertKind] = frozenset(["drift"])  # kept and shown, and nobody is called for it: no harm is known
AlertStatus = Literal["open", "resolved"]


DelayCounts = list[tuple[int, int]]  # bucket of `monitoring.delays`, outcomes
AgeSum = tuple[int, int, int, float]  # part of the window's time, bucket of the delay, outcomes, sum of the metric


class SegmentDelays(Struct, frozen=True):
    """When the outcomes of some predictions of a window came."""

    answered: int
    delays: DelayCounts = []


class SegmentDrift(Struct, frozen=True, kw_only=True):
    """One input column in one segment of a window: the rows with one value, or range, of another column."""

    segment: str  # such as plan=premium
    rows: int
    distance: float | None
    p_value: float
    level: float  # what Holm's procedure holds the p-value against
    drifted: bool


class ColumnDrift(Struct, frozen=True, kw_only=True):
    """One input column of a window against the reference of the live version."""

    column: str
    part: ListPart | None = None  # of lists: what of them the test is about; the p-value allows for all that were made
    test: DriftTest  # type: values of another type than the reference; none: not tested, and `note` says why
    statistic: float | None = None  # of the test: Kolmogorov-Smirnov distance, or chi-square
    distance: float | None = None  # how far, 0 to 1: the KS distance, or half the sum of differences in share
    p_value: float | None = None
    level: float | None = None  # what Holm's procedure holds the p-value against
    drifted: bool = False  # it moved in all rows together, or in a segment
    psi: float | None = None  # population stability index, for those who know it; it decides nothing
    psi_critical: float | None = None  # what it exceeds by chance as often as the level says
    windows: int = 1  # tested together: this one and those before it
    new_share: float = 0.0  # rows with a value the reference never had; 0 for numbers
    rows: int = 0
    note: str = ""  # what a reader should know: why it was skipped, what is new
    segments: list[SegmentDrift] = []  # those least like the reference, the most unlike first

    @property
    def segments_drifted(self) -> list[str]:
        """The segments it moved in."""
        return [held.segment for held in self.segments if held.drifted]

    @property
    def drifted_as_a_whole(self) -> bool:
        """Whether it moved in all rows together."""
        return self.drifted and (self.level is None or self.p_value is None or self.p_value <= self.level)

    @property
    def subject(self) -> str:
        """What moved: the column, or the length or norm of its lists."""
        return f"{self.part} of {self.column}" if self.part in ("length", "norm") else self.column

    @property
    def told(self) -> str:
        """Its name, with the segments it moved in where it did not move in all rows together."""
        named = self.segments_drifted
        return self.subject if self.drifted_as_a_whole or not named else f"{self.subject} where {' or '.join(named)}"


class Performance(Struct, frozen=True, kw_only=True):
    """A metric over the predictions whose outcome is known, with a 95 % interval clustered by key."""

    metric: str
    value: float | None  # None: too few outcomes, or only one class
    low: float | None = None
    high: float | None = None
    rows: int = 0  # predictions with an outcome


class Cursor(Struct, frozen=True, kw_only=True):
    """How far the monitor has worked through what came in for a deployment."""

    deployment: str
    segments: int = 0  # number of the newest segment
    outcomes: int = 0  # number of the newest outcome
    closed_until: datetime | None = None  # event time: all windows that end by then are recorded


class RevisionFigures(Struct, frozen=True, kw_only=True):
    """What one revision did in a window."""

    revision: int
    rows: int
    errors: int = 0
    fallbacks: int = 0
    latency_p99_ms: float | None = None
    performance: Performance | None = None


class LossEvidence(Struct, frozen=True, kw_only=True):
    """What a window says for "the live model does more harm than is put up with", in one way of measuring harm."""

    watch: str = "loss"  # what is measured: `watches.py` has them all
    mean_loss: float  # 0 is best; 1 worst, but for numbers, where it is in units of the label
    groups: int  # independent observations: keys, or rows without a key
    losses: Digest  # one loss a group, 32-bit floats, in the order of event time
    is_reference: bool = False  # the window is one of those the bar comes from
    tolerated: float | None = None  # the bar: the mean loss that is put up with; None in a reference window
    evidence: float | None = None  # of the detector at the end of the window, as a share of what makes an alarm
    lost: bool = False  # the detector alarms
    run_length: float | None = None  # groups to a false alarm on average, at least; None in a reference window

    @property
    def kind(self) -> AlertKind:
        """The alert that it raises."""
        kinds: dict[str, AlertKind] = {"calibration": "calibration", "gap": "fairness"}
        kinds |= {"loss": "performance", "latency": "latency", "errors": "errors"}
        return kinds[self.watch.partition(":")[0]]


class GroupPerformance(Struct, frozen=True, kw_only=True):
    """How well the rows of one group were answered: those with one value of a sensitive column."""

    column: str
    group: str
    rows: int  # predictions
    performance: Performance | None = None  # None: too few outcomes, or the column is not logged
    note: str = ""  # why there is no figure


class EstimateCheck(Struct, frozen=True, kw_only=True):
    """An estimate held against what was measured on the same rows, once their outcomes were known."""

    number: int  # the how-manieth check of one calibration
    rows: int
    estimated: float
    measured: float
    standard_error: float  # of the difference, where the estimator is right
    limit: float  # standard errors that are let pass
    passed: bool

    @property
    def distance(self) -> float:
        """How many standard errors the two are apart."""
        return abs(self.estimated - self.measured) / self.standard_error


class EstimatorState(Struct, frozen=True, kw_only=True):
    """The estimator of one model version after a window: what it was calibrated on, and whether it is believed."""

    calibration: Digest | None = None  # object with what it was calibrated to; None: too few outcomes so far
    source: str = ""  # which rows those are, in plain words
    trusted: bool = True
    withdrawn: str = ""  # why it is not
    checks: int = 0  # of this calibration
    passed: int = 0  # checks that it passed in a row
    reference: float | None = None  # what the metric was where the version was calibrated first...
    reference_error: float | None = None  # ... and the standard error of that


class Estimate(Struct, frozen=True, kw_only=True):
    """The metric of a window as it is estimated from inputs and answers alone, before any outcome is known."""

    metric: str
    value: float | None = None  # None: `note` says why there is no estimate
    low: float | None = None  # a 95 % interval of what will be measured
    high: float | None = None
    standard_error: float | None = None  # of the difference from what will be measured
    rows: int = 0
    note: str = ""
    number: int = 0  # the how-manieth estimate of this version that was held against the reference
    p_value: float | None = None  # of being no worse than the reference
    level: float | None = None
    dropped: bool = False  # the estimate is worse than the reference beyond doubt
    check: EstimateCheck | None = None  # None: too few outcomes are known
    state: EstimatorState = EstimatorState()  # after this window
    material: Digest | None = None  # object with the answers it is made from


class ReferenceSketch(Struct, frozen=True, kw_only=True):
    """The sketch of what a model version was trained on; windows are compared with it, and not with the rows."""

    deployment: str
    version: int
    sample: Digest  # the version's reference sample, which it was made of
    key: str | None  # the column that said which rows belong together
    sketch: Digest
    is_final: bool = False  # the sample is gone, and the sketch stands for it as it is

    @property
    def ref(self) -> Ref:
        """What keeps the sketch."""
        return Ref("reference-sketch", f"{self.deployment}/{self.version}")


class Maturity(Struct, frozen=True, kw_only=True):
    """How much of what will be known of a window is known, and whether it may be compared with others."""

    answered: int  # predictions that an outcome can come for
    known: float  # share of them whose outcome is known; with absence as a negative only what really came counts
    delays: DelayCounts = []  # of those known
    sums: list[AgeSum] = []  # of the metric over these outcomes, where it is a mean of values between 0 and 1
    segments: dict[str, dict[str, SegmentDelays]] = {}  # column -> value; those that `outcomes.by` asks for
    expected: float | None = None  # the share that should be known at this age, by the label-delay curve
    final: float | None = None  # the share that is ever known; None: it was not watched for long enough to say
    matured: bool = False  # enough is known: it alarms, and is what others are held against
    matures_at: datetime | None = None  # event time; None: there is no telling yet
    absent_is_negative: bool = False  # it is old enough for absence to mean something, and rows count so
    weighted: float | None = None  # the metric of a young window, outcomes weighed by 1 / G(age) where that is right
    note: str = ""  # why it is not matured


class DelayCurve(Struct, frozen=True, kw_only=True):
    """The label-delay curve: the share of predictions whose outcome is known by an age, whatever will become of it."""

    deployment: str
    column: str = ""  # the input column whose value the predictions share; empty for all predictions
    value: str = ""
    ages_s: list[float]  # seconds after the prediction, rising
    known: list[float]  # share known by then
    errors: list[float]  # standard errors of these shares
    predictions: int
    outcomes: int
    followed_s: float  # the longest time that predictions of a whole window were watched
    is_complete: bool  # what has not come by `followed_s` will not come
    as_of: datetime | None = None  # event time


class KeptSketches(Struct, frozen=True):
    """What a window keeps of rows whose inputs leave the log: from then on its sketches are not made of rows again."""

    sketches: Digest | None  # of all rows that had come; None where an older penstock measured it
    segments: int  # number of the newest segment among them; rows of later ones are not in the sketches


class Window(Struct, frozen=True, kw_only=True):
    """A stretch of event time of one deployment: what came in, how far it moved, how well it was answered."""

    deployment: str
    start: datetime  # event time, included
    end: datetime  # excluded
    edition: int = 1  # grows each time that late rows or outcomes change the window
    rows: int  # predictions
    outcomes: int  # predictions whose outcome is known
    version: int | None = None  # of the model that answered most; the window is judged as its work
    number: int = 0  # the how-manieth comparison with this version's reference; 0: not compared
    level: float | None = None  # of the drift tests over all columns, from the false-alarm budget
    drift: list[ColumnDrift] = []
    drift_note: str = ""  # why there was no comparison
    segment_notes: list[str] = []  # which columns were to cut the rows into segments and do not, and why
    performance: Performance | None = None
    below_bar: bool = False  # the project's own bar is missed beyond doubt
    loss: LossEvidence | None = None
    watches: list[LossEvidence] = []  # of the other ways to measure harm
    estimate: Estimate | None = None
    groups: list[GroupPerformance] = []
    maturity: Maturity | None = None  # None where an older penstock measured it
    revisions: list[RevisionFigures] = []
    sketches: Digest | None = None  # the object with the sketches of its inputs, outputs and chances
    kept: KeptSketches | None = None  # None while all of its inputs are in the log
    computed_at: datetime | None = None

    def with_evidence(self, evidence: LossEvidence) -> "Window":
        """The same window with new evidence of one watch."""
        if evidence.watch == "loss":
            return replace(self, loss=evidence)
        return replace(self, watches=[evidence if held.watch == evidence.watch else held for held in self.watches])

    @property
    def evidence(self) -> list[LossEvidence]:
        """What each watch measured."""
        return self.watches if self.loss is None else [self.loss, *self.watches]

    @property
    def objects(self) -> list[Digest]:
        """The objects that have to be kept for it."""
        found = [evidence.losses for evidence in self.evidence]
        if self.estimate is not None:
            found += [name for name in (self.estimate.material, self.estimate.state.calibration) if name is not None]
        kept = None if self.kept is None else self.kept.sketches
        return [*found, *(name for name in (self.sketches, kept) if name is not None)]

    @property
    def ref(self) -> Ref:
        """How lineage points at this window."""
        return Ref("window", f"{self.deployment}/{name_start(self.start)}")

    @property
    def drifted(self) -> list[str]:
        """The columns that moved."""
        return [column.column for column in self.drift if column.drifted]

    @property
    def drifted_told(self) -> str:
        """The columns that moved, with their segments."""
        return ", ".join(column.told for column in self.drift if column.drifted)

    @property
    def is_comparable(self) -> bool:
        """Whether enough outcomes are known to hold this window against others."""
        return self.maturity is None or self.maturity.matured

    @property
    def lost(self) -> bool:
        """Whether performance has dropped beyond doubt, by either measure."""
        return self.is_comparable and (self.below_bar or (self.loss is not None and self.loss.lost))


class Alert(Struct, frozen=True, kw_only=True):
    """Something that was seen; one of a kind is open at a time."""

    id: AlertId
    deployment: str
    kind: AlertKind
    window_start: datetime  # of the window that raised it
    as_of: datetime  # event time: the end of that window
    opened_at: datetime  # on the clock
    summary: str  # in plain words
    evidence: dict[str, Any] = {}
    severity: Severity = "notice"  # page: somebody is to be called
    status: AlertStatus = "open"
    resolved_at: datetime | None = None
    resolved_as_of: datetime | None = None  # windows that end by then raise no alert of this kind again
    resolution: str = ""

    @property
    def ref(self) -> Ref:
        """How lineage and audit point at this alert."""
        return Ref("alert", self.id)

    @property
    def pages(self) -> bool:
        """Whether somebody is to be called: harm was measured, or is estimated. Inputs that moved call nobody."""
        return self.severity == "page"

    @property
    def is_data_fault(self) -> bool:
        """Whether the data are to be mended, which training again would not do."""
        return self.cause is not None and any(fault.certain for fault in self.cause.faults)

    @property
    def cause(self) -> Cause | None:
        """Why it happened, as far as that is known; None where no cause was looked for."""
        return find_cause(self.evidence)

    @property
    def seen(self) -> str:
        """The summary without the cause."""
        return self.summary if self.cause is None else self.summary.removesuffix(f". {self.cause.told}")

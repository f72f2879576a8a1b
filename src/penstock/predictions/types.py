"""The records of predictions: rows of the log, segments that hold them, outcomes, and counts over them."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from penstock.core.ids import Digest, PredictionId, SegmentId
from penstock.predictions.latency import LatencyCounts, latency_quantile

# The last two are of copies: what a revision in the shadow would have answered, and where it failed.
Status = Literal["ok", "fallback", "error", "shadow", "shadow_error"]


class PredictionRow(Struct, frozen=True, array_like=True):
    """One prediction of the log, its values as JSON texts."""

    at_us: int  # event time, microseconds since 1970, UTC
    revision: int
    key: str  # what keeps a customer on one revision; empty when the request had none
    inputs: str  # JSON object: column -> value
    output: str  # JSON object: output column -> value; an error holds `error`
    latency_us: int
    status: Status = "ok"
    propensity: float = 1.0  # the chance with which the revision was chosen
    answered: str = ""  # of a copy: the id of the prediction that the caller got


class RevisionCounts(Struct, frozen=True, kw_only=True):
    """How much one revision answered, or would have answered in the shadow, and how well."""

    revision: int
    is_shadow: bool = False  # these are copies, which nobody waited for
    rows: int = 0
    errors: int = 0  # answered with an error
    fallbacks: int = 0  # the revision failed, and something simpler answered in its place
    latency: LatencyCounts = field(default_factory=list)

    @property
    def failures(self) -> int:
        """Rows that the revision itself could not answer."""
        return self.errors + self.fallbacks

    def latency_ms(self, quantile: float) -> float | None:
        """A quantile of the latency, up to 12 % too high; None without rows."""
        return latency_quantile(self.latency, quantile)


class Segment(Struct, frozen=True, kw_only=True):
    """Some seconds of one deployment's predictions: an object in the store, and what it adds up to.

    The object is a Parquet file; see `penstock.predictions.segment_file`.
    """

    id: SegmentId
    deployment: str
    first_at: datetime  # event time of the oldest row, UTC
    last_at: datetime  # of the newest
    rows: int  # with copies; whatever else is counted here is without
    errors: int = 0
    fallbacks: int = 0
    settled_at: datetime | None = None  # of the newest row with another less than a day before it; None: there is none
    revisions: list[RevisionCounts] = field(default_factory=list)  # copies apart from answers
    digest: Digest = Digest("")  # of the object; empty until it lies in the store
    number: int = 0  # order of arrival, from 1; a cursor. The service gives it
    received_at: datetime | None = None  # the service gives it
    inputs_dropped_at: datetime | None = None  # since then it holds no inputs but those that are measured by


class Outcome(Struct, frozen=True, kw_only=True):
    """What turned out to be true of one prediction."""

    prediction_id: PredictionId
    value: Any  # in the form of the label: a class, a number, or for ranking the list of relevant items
    at: datetime  # when it happened, UTC


class RecordedOutcome(Struct, frozen=True, kw_only=True):
    """An outcome as it is kept. `deployment` is None as long as no known prediction has this id."""

    prediction_id: PredictionId
    value: Any
    at: datetime
    number: int  # order of arrival; a newer value, or finding its prediction, gives a new number
    segment: SegmentId
    deployment: str | None = None


class EntityOutcome(Struct, frozen=True, kw_only=True):
    """What turned out to be true of somebody or something that predictions were made for."""

    entity: str  # as the key of the predictions, or the id they were logged with, names it
    value: Any  # in the form of the label
    at: datetime  # when it happened, UTC


class RecordedEntityOutcome(Struct, frozen=True, kw_only=True):
    """An outcome of an entity as it is kept; which predictions it belongs to is found when they are read."""

    deployment: str
    entity: str
    value: Any
    at: datetime
    number: int  # order of arrival, among all outcomes


class OutcomesAdded(Struct, frozen=True):
    """What became of some outcomes that were sent."""

    accepted: int  # new, or newer than what was known
    repeated: int  # known already; nothing changed
    unmatched: int = 0  # of those accepted by id, how many belong to no prediction known so far
    conflicting: int = 0  # said something else of the same moment than another one; the one that sorts last is kept


class Arrivals(Struct, frozen=True):
    """How much has come in; where it equals what was seen before, nothing came since."""

    segments: int = 0  # number of the newest segment
    outcomes: int = 0  # number of the newest outcome, of a prediction or of an entity


class Traffic(Struct, frozen=True, kw_only=True):
    """What a deployment answered in some time, all revisions together and each by itself."""

    deployment: str
    segments: int
    without_inputs: int = 0  # of these segments: their inputs were older than they are kept, and were dropped
    rows: int
    errors: int
    fallbacks: int
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    outcomes: int
    watermark: datetime | None  # the newest event time seen
    revisions: list[RevisionCounts]
    shadows: list[RevisionCounts] = field(default_factory=list)  # copies, which count nowhere else; of a time only

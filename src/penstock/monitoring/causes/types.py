"""The records of a cause: faults, the split of the loss, columns, segments, data upstream."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from penstock.core import codec

FaultKind = Literal["changed_type", "swapped_columns", "constant_column", "unit_change", "null_burst", "new_category"]
Verdict = Literal["inputs", "relation", "both", "neither", "unknown"]
VERDICTS: dict[Verdict, str] = {
    "inputs": "rows of other, harder kinds come",
    "relation": "the same rows turn out otherwise than they did",
    "both": "rows of harder kinds come, and the same rows turn out otherwise",
    "neither": "neither part is beyond doubt",
    "unknown": "hardly any earlier row is like these, so that the two cannot be told apart",
}


class DataFault(Struct, frozen=True, kw_only=True):
    """Something that is wrong with the data, and that training again would only learn by heart.

    A value that never came before may also be something new in the world; it is certain to be wrong where the project
    lists the values that are allowed, or where it is a known one spelled otherwise.
    """

    kind: FaultKind
    columns: list[str]
    share: float  # of the rows
    detail: str  # in plain words
    certain: bool = True


class LossSplit(Struct, frozen=True, kw_only=True):
    """The rise of the mean loss, split in two that add up to it.

    Attributes:
        change: mean loss now, less that of the reference.
        inputs: the part that is there because rows of other kinds come: the model was as bad at them before.
        relation: the part that is there because the same rows turn out otherwise.
        inputs_error: standard error.
        relation_error: standard error.
        moved: how well a classifier tells the rows of now from those of the reference: 0.5 not at all, 1 always.
        overlap: share of the reference that is like the rows of now; near 0 the two parts cannot be told apart.
        verdict: which parts are above zero beyond doubt; unknown where the overlap is too small.
    """

    change: float
    inputs: float
    relation: float
    inputs_error: float
    relation_error: float
    moved: float
    overlap: float
    reference_rows: int
    rows: int
    verdict: Verdict


class CauseColumn(Struct, frozen=True, kw_only=True):
    """A column whose move by itself changes the loss."""

    column: str
    effect: float  # on the mean loss
    error: float  # standard error


class CauseSegment(Struct, frozen=True, kw_only=True):
    """Rows that lose more than such rows did, and more so than all others; found on one half and shown on the other."""

    segment: str  # in plain words
    rows: int
    share: float
    rise: float  # of the mean loss, beyond that of the other rows
    error: float  # standard error
    p_value: float  # adjusted for all segments that were held against the other half


class Upstream(Struct, frozen=True, kw_only=True):
    """Data of which there is a newer version than the model was trained on."""

    dataset: str
    trained_on: int  # version
    newest: int  # version
    since: datetime  # on the clock: when the newest was taken in


class Cause(Struct, frozen=True, kw_only=True):
    """What is known of why performance dropped, or inputs moved."""

    faults: list[DataFault] = []
    split: LossSplit | None = None  # None: `note` says why
    columns: list[CauseColumn] = []
    segments: list[CauseSegment] = []
    upstream: list[Upstream] = []
    note: str = ""
    told: str = ""  # all of it in plain words, as in the summary of the alert; empty where nothing is known


def find_cause(evidence: Mapping[str, Any]) -> Cause | None:
    """The cause in the evidence of an alert; None where none was looked for."""
    held = evidence.get("cause")
    return None if held is None else codec.convert(held, Cause)

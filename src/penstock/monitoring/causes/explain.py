"""Why did performance drop, or inputs move? Faults of the data first; then the loss, split; then where it rose."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.monitoring.causes.columns import CutColumn, cut_columns
from penstock.monitoring.causes.faults import find_faults
from penstock.monitoring.causes.segments import find_segments
from penstock.monitoring.causes.types import VERDICTS, Cause, CauseColumn, LossSplit, Upstream, Verdict
from penstock.stats.arrays import FloatArray, IntArray
from penstock.stats.shift import BEYOND_DOUBT, Sample, Shift, reweigh, split_rise

LEAST_ROWS = 200  # with an outcome, of either sample
LEAST_COVERED = 0.3  # of the rows of now, that the reference has to have the like of
LEAST_ALIKE = 30  # reference rows that have to be like those of now
COLUMN_BINS = 10
COLUMNS_NAMED = 5


class LossRows(Struct, frozen=True):
    """Rows whose outcome is known.

    Attributes:
        inputs: what the model was given.
        losses: of each row, in the order of the inputs; between 0 and 1, or in units of the label.
        keys: code of the customer of each row.
    """

    inputs: pl.DataFrame
    losses: FloatArray
    keys: IntArray

    def __len__(self) -> int:
        return len(self.losses)


def explain(
    *,
    usual: pl.DataFrame,
    current: pl.DataFrame,
    reference: LossRows | None = None,
    now: LossRows | None = None,
    upstream: Sequence[Upstream] = (),
    allowed: Mapping[str, Collection[str]] | None = None,
) -> Cause:
    """What is known of a cause.

    Args:
        usual: inputs of a time when all was well, whether or not their outcome is known.
        current: inputs of the time in question.
        reference: rows from the first windows of the version; None where losses of single rows say nothing.
        now: rows of the time in question.
        upstream: data that are newer than those the model was trained on.
        allowed: the values that columns may have, where the project says so.
    """
    faults = find_faults(usual, current, allowed)
    if reference is None or now is None or min(len(reference), len(now)) < LEAST_ROWS:
        count = 0 if now is None or reference is None else min(len(now), len(reference))
        note = f"too few outcomes to say more: {count} of {LEAST_ROWS} of either time are known"
        return Cause(faults=faults, upstream=list(upstream), note=note)
    cut = cut_columns(reference.inputs, now.inputs)
    if not cut:
        return Cause(faults=faults, upstream=list(upstream), note="no input can be compared")
    shift = _split(reference, now, cut)
    told = _tell_split(shift, reference, now)
    broken = {name for fault in faults for name in fault.columns}
    has_moved, is_otherwise = told.verdict in ("inputs", "both"), told.verdict in ("relation", "both")
    return Cause(
        faults=faults,
        split=told,
        columns=_find_columns(reference, now) if has_moved else [],
        segments=find_segments([held for held in cut if held.name not in broken], shift.surplus)
        if is_otherwise
        else [],
        upstream=list(upstream),
    )


def _split(reference: LossRows, now: LossRows, columns: Sequence[CutColumn]) -> Shift:
    before, after = (np.column_stack([column.features[side] for column in columns]) for side in (0, 1))
    is_category = np.array([column.numbers is None for column in columns])
    return split_rise(
        Sample(before, reference.losses, reference.keys), Sample(after, now.losses, now.keys), is_category
    )


def _tell_split(shift: Shift, reference: LossRows, now: LossRows) -> LossSplit:
    return LossSplit(
        change=float(now.losses.mean() - reference.losses.mean()),
        inputs=shift.inputs,
        relation=shift.relation,
        inputs_error=shift.inputs_error,
        relation_error=shift.relation_error,
        moved=shift.auc,
        overlap=shift.overlap,
        reference_rows=len(reference),
        rows=len(now),
        verdict=_judge(shift, len(reference)),
    )


def _judge(shift: Shift, rows: int) -> Verdict:
    if shift.covered < LEAST_COVERED or shift.overlap * rows < LEAST_ALIKE:
        return "unknown"
    inputs = shift.inputs > BEYOND_DOUBT * shift.inputs_error
    relation = shift.relation > BEYOND_DOUBT * shift.relation_error
    if inputs and relation:
        return "both"
    return "inputs" if inputs else "relation" if relation else "neither"


def _find_columns(reference: LossRows, now: LossRows) -> list[CauseColumn]:
    """The columns whose move alone raises the loss beyond doubt, the strongest first."""
    found = []
    for column in cut_columns(reference.inputs, now.inputs, quantiles=COLUMN_BINS):
        effect, error = reweigh(column.reference, column.now, reference.losses)
        if effect > BEYOND_DOUBT * error and effect > 0:
            found.append(CauseColumn(column=column.name, effect=effect, error=error))
    return sorted(found, key=lambda held: -held.effect)[:COLUMNS_NAMED]


def tell_cause(cause: Cause) -> str:
    """A cause in plain words; empty where nothing is known."""
    parts = []
    if cause.faults:
        told = "; ".join(fault.detail for fault in cause.faults)
        is_certain = any(fault.certain for fault in cause.faults)
        lead = (
            "the data are at fault, and want to be mended rather than learned from"
            if is_certain
            else "look at the data"
        )
        parts.append(f"{lead}: {told}")
    if cause.split is not None:
        parts.append(_tell_verdict(cause.split))
    if cause.columns:
        parts.append(f"it is {', '.join(held.column for held in cause.columns)} that moved towards harder rows")
    if cause.segments:
        told = "; ".join(f"{held.segment} ({held.rise:+.3g}, {held.share:.0%} of the rows)" for held in cause.segments)
        parts.append(f"most of all where {told}")
    if cause.upstream:
        told = ", ".join(
            f"{held.dataset} version {held.newest} (trained on {held.trained_on})" for held in cause.upstream
        )
        parts.append(f"newer data: {told}")
    return ". ".join(part[0].upper() + part[1:] for part in parts)


def _tell_verdict(split: LossSplit) -> str:
    sums = f"of a rise in loss of {split.change:.3g}, {split.inputs:.3g} is from inputs that moved"
    sums += f" and {split.relation:.3g} from the same inputs turning out otherwise"
    return f"{VERDICTS[split.verdict]}: {sums}"

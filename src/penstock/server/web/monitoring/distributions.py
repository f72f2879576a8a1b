"""How the values of a window are spread beside those of the reference, read from rows; a bounded number of them.

What comes out is bins and shares, so that whatever else knows them - a sketch of the window - can take its place.
"""

import io
from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from penstock.catalogue.services import Services
from penstock.core.errors import PenstockError
from penstock.core.ids import Digest
from penstock.datasets.types import Bar, Spread
from penstock.monitoring.columns import find_kind, read_labels, read_numbers
from penstock.monitoring.reading import PredictionReader
from penstock.monitoring.types import Window
from penstock.predictions.frames import read_predictions
from penstock.predictions.types import Segment
from penstock.server.web.monitoring.bins import Distribution, WindowDistributions
from penstock.server.web.words.formats import format_number
from penstock.stats.arrays import FloatArray

MOST_SEGMENTS = 40  # of a window that are read, evenly over it
MOST_ROWS = 20_000  # of them, and of the reference
BINS = 24  # of numbers
BARS = 14  # values of a category; the others share one bar
TAIL = 0.005  # of the reference that lies beyond the first and the last inner edge
MISSING, OTHERS = "(missing)", "(all others)"


def read_distributions(services: Services, window: Window) -> WindowDistributions:
    """Every column that was looked at in a window."""
    if window.version is None:
        return WindowDistributions(note="no model version answered")
    try:
        reference = services.registry.get_version(window.deployment, window.version).reference
        if reference is None:
            return WindowDistributions(note=f"version {window.version} has no reference sample")
        rows = _read_rows(services, window)
        held = _read_reference(services, reference)
    except PenstockError as error:  # rows may have been deleted on purpose, and the window is still to be seen
        return WindowDistributions(note=str(error))
    names = [column.column for column in window.drift]
    columns = {name: compare_column(name, held, rows) for name in names if name in held and name in rows}
    return WindowDistributions(columns=columns, rows=rows.height, of_rows=window.rows, reference_rows=held.height)


def _read_reference(services: Services, digest: Digest) -> pl.DataFrame:
    return _thin(pl.read_parquet(io.BytesIO(services.objects.get_bytes(digest))))


def _read_rows(services: Services, window: Window) -> pl.DataFrame:
    reader = PredictionReader(services.predictions, services.objects, window.deployment)
    found = reader.list_segments(start=window.start, end=window.end)
    rows = read_predictions(services.objects, _pick(found))
    rows = _thin(rows.filter(pl.col("at") >= window.start, pl.col("at") < window.end))
    return pl.DataFrame([msgspec.json.decode(text) for text in rows["inputs"]], infer_schema_length=None, strict=False)


def _pick(segments: Sequence[Segment]) -> list[Segment]:
    step = max(1, -(-len(segments) // MOST_SEGMENTS))
    return list(segments[::step])


def _thin(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.gather_every(max(1, -(-frame.height // MOST_ROWS)))


def compare_column(name: str, reference: pl.DataFrame, current: pl.DataFrame) -> Distribution:
    """One column of both, as bars."""
    first, second = reference[name], current[name]
    kind = find_kind(first, second)
    if kind.kind == "none":
        return Distribution(column=name, spread=Spread((), False), note=kind.note)
    if kind.kind == "number":
        return _compare_numbers(name, read_numbers(first), read_numbers(second))
    return _compare_labels(name, read_labels(first, kind), read_labels(second, kind), kind.note)


def _compare_numbers(name: str, first: FloatArray, second: FloatArray) -> Distribution:
    missing = (float(np.isnan(first).mean()), float(np.isnan(second).mean()))
    known = [values[~np.isnan(values)] for values in (first, second)]
    if not len(known[0]) or not len(known[1]):
        return Distribution(column=name, spread=Spread((), True), missing=missing, note="one of the two has no number")
    edges = cut_range(known[0], known[1])
    shares = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values) for values in known]
    bars = tuple(
        Bar(f"{format_number(float(low))} to {format_number(float(high))}", float(before), float(after))
        for low, high, before, after in zip(edges[:-1], edges[1:], *shares, strict=True)
    )
    return Distribution(column=name, spread=Spread(bars, True), missing=missing)


def cut_range(first: FloatArray, second: FloatArray) -> FloatArray:
    """The edges of bins of equal width over the bulk of both samples; what lies beyond goes into the outermost ones."""
    ends = np.quantile(np.concatenate([first, second]), [TAIL, 1 - TAIL])
    low, high = min(ends[0], float(np.quantile(first, TAIL))), max(ends[1], float(np.quantile(first, 1 - TAIL)))
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _compare_labels(name: str, first: pl.Series, second: pl.Series, note: str) -> Distribution:
    missing = (first.null_count() / max(len(first), 1), second.null_count() / max(len(second), 1))
    before, after = (_share(column) for column in (first, second))
    known = sorted(before.keys() | after.keys(), key=lambda label: -max(before.get(label, 0), after.get(label, 0)))
    shown = sorted(known[:BARS], key=lambda label: (-before.get(label, 0.0), -after.get(label, 0.0), label))
    bars = [Bar(label, before.get(label, 0.0), after.get(label, 0.0)) for label in shown]
    if len(known) > BARS:
        rest = known[BARS:]
        bars.append(Bar(OTHERS, *(sum(held.get(label, 0.0) for label in rest) for held in (before, after))))
    new = tuple(label for label in shown if label not in before)
    return Distribution(column=name, spread=Spread(tuple(bars), False), new=new, missing=missing, note=note)


def _share(column: pl.Series) -> dict[str, float]:
    counts = column.fill_null(MISSING).value_counts()
    return {str(label): count / len(column) for label, count in counts.iter_rows()}

"""Have the inputs of a window moved away from the reference of the live model? Tests with a level, and no thresholds.

Both sides are sketches, so that a comparison costs the same whatever number of rows they stand for. Each column gets
the test that is valid for what it holds:

- Numbers: Kolmogorov-Smirnov. What the sketches do not know of the two distributions, `rank_error`, is taken off the
  distance before it is judged; up to 4,096 rows they know everything.
- Categories: the likelihood-ratio chi-square test with rare ones pooled. Beyond 1,024 different ones it compares the
  counts of 256 groups by hash, which are exact.
- Lists, such as the items a customer saw last: the newest item, as a category; the others were in the rows before.
- Values of another type than the reference has: no test is needed.

How many values are missing is a question of its own for numbers, and a category among categories.

Rows of one customer are alike, so all tests work with the *effective* number of rows: the rows divided by the design
effect of their keys (Rao and Scott 1981, first-order correction), for the reference and the window each by itself.

Beside the test stands the population stability index of the column with its critical value at the same level, from
its chi-square law (Yurdakul 2018); it decides nothing.
"""

from collections.abc import Mapping, Sequence

import msgspec

from penstock.monitoring.column_drift import compare_column, measure_stability
from penstock.monitoring.sketches import TableSketch
from penstock.monitoring.types import ColumnDrift
from penstock.stats import multiplicity


def compare_spans(
    reference: TableSketch, spans: Mapping[int, TableSketch], columns: Sequence[str], levels: Mapping[int, float]
) -> list[ColumnDrift]:
    """Each column of a window, alone and together with windows before it, against the reference.

    Args:
        reference: rows from when the model was trained.
        spans: the rows of so many windows that end with this one; 1 is this one alone.
        columns: names.
        levels: of the test of each span, as `AlarmBudget.levels` gives them.

    Returns:
        Of each column what the window alone shows, or, where that is nothing, the shortest span that shows a move.
    """
    found = compare_inputs(reference, spans[1], columns, level=levels[1])
    for span in sorted(spans.keys() & levels.keys() - {1}):
        longer = compare_inputs(reference, spans[span], columns, level=levels[span])
        found = [
            msgspec.structs.replace(long, windows=span) if long.drifted and not short.drifted else short
            for short, long in zip(found, longer, strict=True)
        ]
    return found


def compare_inputs(
    reference: TableSketch, current: TableSketch, columns: Sequence[str], *, level: float
) -> list[ColumnDrift]:
    """Each column of a window against the reference; all of them together alarm falsely with a chance of `level`.

    Args:
        reference: rows from when the model was trained.
        current: rows of the window.
        columns: names; one that a sample lacks, or that cannot be tested, is listed with the reason.
        level: shared between the columns by Holm's procedure.
    """
    results = [compare_column(name, reference.columns.get(name), current.columns.get(name)) for name in columns]
    tested = [number for number, result in enumerate(results) if result.p_value is not None]
    if not tested:
        return results
    raw = [results[number].p_value or 0.0 for number in tested]
    for number, adjusted, p_value in zip(tested, multiplicity.holm(raw).tolist(), raw, strict=True):
        # Holm holds p * (a factor of at least 1) against the level, which is p against level / factor.
        share = level * p_value / adjusted if adjusted > 0 else level / len(tested)
        name = results[number].column
        judged = msgspec.structs.replace(results[number], level=share, drifted=adjusted <= level)
        results[number] = measure_stability(judged, reference.columns[name], current.columns[name])
    return results

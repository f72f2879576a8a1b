"""Have the inputs of a window moved away from the reference of the live model? Tests with a level, and no thresholds.

Both sides are sketches, so that a comparison costs the same whatever number of rows they stand for. Each column gets
the test that is valid for what it holds:

- Numbers: Kolmogorov-Smirnov. What the sketches do not know of the two distributions, `rank_error`, is taken off the
  distance before it is judged; up to 4,096 rows they know everything.
- Categories: the likelihood-ratio chi-square test with rare ones pooled. Beyond 1,024 different ones it compares the
  counts of 256 groups by hash, which are exact.
- Lists, such as the items a customer saw last: the newest item, as a category, as the others were in the rows before;
  and how many there are. Of lists of numbers with fractions, such as embeddings, the norm and how many there are. As
  these are two tests, the smaller p-value counts twofold.
- Values of another type than the reference has: no test is needed.

How many values are missing is a question of its own for numbers, and a category among categories.

Rows of one customer are alike, so all tests work with the *effective* number of rows: the rows divided by the design
effect of their keys (Rao and Scott 1981, first-order correction), for the reference and the window each by itself.

Segments - the rows with one value of a column that the project cuts by - are compared likewise, each column in each
segment with the same segment of the reference. A quarter of the level is theirs, shared by Holm's procedure among all
of them, so that a project with segments gives up little of what it sees in all rows together, and what befalls one
segment is not watered down by the others.

Beside the test stands the population stability index of the column with its critical value at the same level, from
its chi-square law (Yurdakul 2018); it decides nothing.
"""

from collections.abc import Mapping, Sequence

import msgspec

from penstock.monitoring.column_drift import compare_column, measure_stability
from penstock.monitoring.sketches import TableSketch
from penstock.monitoring.types import ColumnDrift, SegmentDrift
from penstock.stats import multiplicity

SEGMENTS_SHARE = 0.25  # of the level, where there are segments
FEW_ROWS = 20  # below this neither a window nor a segment is compared
UNUSUAL = 0.05  # segments with a larger p-value are not listed...
MOST_LISTED = 5  # ... nor more than so many of a column


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
        level: shared between the columns, and the segments that both sketches have, by Holm's procedure.
    """
    tests = _compare_segments(reference, current, columns)
    spent = level * SEGMENTS_SHARE if tests else 0.0
    results = [compare_column(name, reference.columns.get(name), current.columns.get(name)) for name in columns]
    tested = [number for number, result in enumerate(results) if result.p_value is not None]
    shares = _share([results[number].p_value or 0.0 for number in tested], level - spent)
    for number, share in zip(tested, shares, strict=True):
        found, name = results[number], results[number].column
        judged = msgspec.structs.replace(found, level=share, drifted=(found.p_value or 0.0) <= share)
        results[number] = measure_stability(judged, reference.columns[name], current.columns[name])
    segments = _judge_segments(tests, spent)
    return [_with_segments(result, segments.get(result.column, [])) for result in results]


def tell_uncut(reference: TableSketch, current: TableSketch, *, absent: str) -> list[str]:
    """A line for each column that was to cut the rows into segments of which none can be compared, and why.

    Args:
        reference: rows from when the model was trained.
        current: rows of the window.
        absent: why a column of a cut may be lacking now.
    """
    held = {segments.cut.column: segments.cut for segments in current.segments}
    otherwise = {
        cut.column: absent if cut.column not in held else "the two were cut otherwise"
        for cut in [segments.cut for segments in reference.segments]
        if held.get(cut.column) != cut
    }
    left_out = reference.uncut | current.uncut | otherwise
    return [f"no segments by {column}: {why}" for column, why in left_out.items()]


def _share(p_values: Sequence[float], level: float) -> list[float]:
    """What Holm's procedure holds each p-value against; it is rejected where it is no more than that."""
    adjusted = multiplicity.holm(p_values).tolist() if p_values else []
    # Holm holds p * (a factor of at least 1) against the level, which is p against level / factor.
    return [
        level * p_value / held if held > 0 else level / len(adjusted)
        for p_value, held in zip(p_values, adjusted, strict=True)
    ]


def _compare_segments(
    reference: TableSketch, current: TableSketch, columns: Sequence[str]
) -> list[tuple[str, ColumnDrift]]:
    """Every test that can be made in a segment, with the name of that."""
    cut_alike = [(a, b) for a in reference.segments for b in current.segments if a.cut == b.cut]
    return [
        (name, found)
        for before, now in cut_alike
        for name in before.parts
        if name in now.parts and min(before.parts[name].rows, now.parts[name].rows) >= FEW_ROWS
        for column in columns
        if column != before.cut.column
        for found in [
            compare_column(column, before.parts[name].columns.get(column), now.parts[name].columns.get(column))
        ]
        if found.p_value is not None
    ]


def _judge_segments(tests: Sequence[tuple[str, ColumnDrift]], level: float) -> dict[str, list[SegmentDrift]]:
    """By column, the segments that are least like the reference."""
    shares, judged = _share([found.p_value or 0.0 for _, found in tests], level), dict[str, list[SegmentDrift]]()
    for (name, found), share in zip(tests, shares, strict=True):
        p_value = found.p_value or 0.0
        if p_value <= UNUSUAL:
            drifted = p_value <= share
            judged.setdefault(found.column, []).append(
                SegmentDrift(
                    segment=name,
                    rows=found.rows,
                    distance=found.distance,
                    p_value=p_value,
                    level=share,
                    drifted=drifted,
                )
            )
    return {column: sorted(held, key=_oddity)[:MOST_LISTED] for column, held in judged.items()}


def _oddity(found: SegmentDrift) -> tuple[float, float, str]:
    return found.p_value, -(found.distance or 0.0), found.segment


def _with_segments(result: ColumnDrift, segments: list[SegmentDrift]) -> ColumnDrift:
    drifted = result.drifted or any(segment.drifted for segment in segments)
    return msgspec.structs.replace(result, segments=segments, drifted=drifted)

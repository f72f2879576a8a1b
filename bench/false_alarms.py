"""How often the watches of a project cry wolf, and how soon they see what was planted; beside ADWIN.

    python bench/false_alarms.py --data DIR [--river PYTHON] [--seeds 2] [--windows 60] [--json]

`--data`, or PENSTOCK_DATA, is a folder of Parquet files. The rows of each are shuffled, so that every alarm is false:
5,000 rows are the reference, and windows of 100, 500 and 2,000 rows of the others are compared with it. "at 5 %" is the
share of windows that alarm when every window is tested at a level of 5 % over all its columns. "budget" is what a
project with `false_alarms = "1 per 90d"` and a window a day does: alarms, beside the number that it may expect.
"PSI > 0.1" is the usual rule, for any column, on the same windows.

Then drifts are planted. "1 of 30 columns" moves by a part of its standard deviation after 30 windows; the delay is in
rows from there to the end of the window that alarms. `sea_known_drifts`, where it is in the folder, changes its concept
three times: a model is fitted, its errors are watched, and after an alarm it is fitted again on the newest rows.
`--river` is the python of an environment with river, whose ADWIN watches the same columns and errors (delta 0.002, its
default), told nothing of the reference. At last a loss is lower for a time and goes back to where it began: the alarms
are counted of runs in which any came.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.ids import Digest
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.decay import Harm, WindowLosses, judge_losses
from penstock.monitoring.drift import compare_inputs, compare_spans
from penstock.monitoring.sketches import TableSketch, sketch_frame
from penstock.monitoring.types import LossEvidence

REFERENCE = 5000
SIZES = (100, 500, 2000)
BUDGET = AlarmBudget(1, 90)  # one false alarm in 90 windows
CHANGES = (12_500, 25_000, 37_500)  # of sea_known_drifts
ADWIN = """
import sys, numpy as np
from river.drift import ADWIN
for stream in np.load(sys.argv[1]):
    detector, alarms = ADWIN(), []
    for place, value in enumerate(stream):
        detector.update(value)
        if detector.drift_detected: alarms.append(place + 1)
    print(*alarms)
"""


class Shuffled(Struct, frozen=True):
    """What came of one table in windows of one size."""

    table: str
    columns: int
    window_rows: int
    windows: int
    at_5_percent: float
    budget_alarms: int
    budget_expects: float
    psi_above_01: float


def shuffled(path: Path, rows: int, *, seeds: int, windows: int) -> Shuffled | None:
    """Windows in which nothing has moved."""
    table = watched(pl.read_parquet(path))
    count = min((table.height - REFERENCE) // rows, windows)
    if count < 5:
        return None
    hits, spent, expected, psi = 0, 0, 0.0, 0
    for seed in range(seeds):
        drawn = table.sample(fraction=1, shuffle=True, seed=seed)
        reference, past = sketch_frame(drawn.head(REFERENCE)), []
        for number in range(1, count + 1):
            window = sketch_frame(drawn.slice(REFERENCE + (number - 1) * rows, rows))
            past.append(window)
            at_5_percent = compare_inputs(reference, window, table.columns, level=0.05)
            hits += any(column.drifted for column in at_5_percent)
            psi += any((column.psi or 0) > 0.1 for column in at_5_percent)
            spent += alarms(reference, past, table.columns)
            expected += BUDGET.level(number)
    total = count * seeds
    return Shuffled(path.stem, table.width, rows, total, hits / total, spent, expected, psi / total)


def watched(table: pl.DataFrame) -> pl.DataFrame:
    """The columns that are no times and do not name the row."""
    kept = [c.name for c in table.get_columns() if not c.dtype.is_temporal() and c.n_unique() < 0.5 * len(c) + 60]
    return table.select(kept)


class Planted(Struct, frozen=True):
    """How a planted change was seen."""

    what: str
    window_rows: int
    watch: str
    found: str
    delay_rows: float | None  # the median
    false_alarms: int


def plant_shift(shift: float, rows: int, *, runs: int, river: str) -> Iterator[Planted]:
    """One of 30 columns moves after 30 windows."""
    delays: list[int | None] = []
    false = 0
    streams: list[np.ndarray] = []
    for run in range(runs):
        rng = np.random.default_rng(run)
        reference = sketch_frame(frame(rng.normal(size=(REFERENCE, 30))))
        values = rng.normal(size=(60 * rows, 30))
        values[30 * rows :, run % 30] += shift
        streams += list(values.T)
        found = list(alarm_windows(reference, values, rows))
        false += sum(number <= 30 for number in found)
        first = next((number for number in found if number > 30), None)
        delays.append(None if first is None else (first - 30) * rows)
    yield told(f"1 of 30 columns by {shift:g} sd", rows, "penstock", delays, false)
    if river:
        found = adwin(river, np.stack(streams))
        by_run = [sorted(at for stream in found[30 * run : 30 * run + 30] for at in stream) for run in range(runs)]
        delays = [next((at - 30 * rows for at in places if at > 30 * rows), None) for places in by_run]
        false = sum(at <= 30 * rows for places in by_run for at in places)
        yield told(f"1 of 30 columns by {shift:g} sd", rows, "ADWIN, each column", delays, false)


def alarm_windows(reference: TableSketch, values: np.ndarray, rows: int) -> Iterator[int]:
    past: list[TableSketch] = []
    for number in range(1, len(values) // rows + 1):
        past.append(sketch_frame(frame(values[(number - 1) * rows : number * rows])))
        if alarms(reference, past, list(reference.columns)):
            yield number


def alarms(reference: TableSketch, past: list[TableSketch], columns: list[str]) -> bool:
    """Whether the newest of some windows alarms, as the monitor would have it."""
    levels = BUDGET.levels(len(past))
    spans = {span: reduce(TableSketch.merge, past[-span:]) for span in levels}
    return any(column.drifted for column in compare_spans(reference, spans, columns, levels))


def frame(values: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(values, schema=[f"x{number}" for number in range(values.shape[1])])


def plant_sea(path: Path, rows: int, river: str) -> Iterator[Planted]:
    """Three changes of the concept, none of the inputs."""
    table = pl.read_parquet(path)
    inputs, label = table.drop("target").to_numpy(), table["target"].to_numpy()
    watches = [("penstock", lambda errors: lost_rows(errors, rows))]
    if river:
        watches.append(("ADWIN", lambda errors: adwin(river, errors[None, :])[0]))
    for name, find in watches:
        places = list(follow(inputs, label, find))
        delays = [next((at - change for at in places if change < at <= change + 12_500), None) for change in CHANGES]
        false = len(places) - sum(delay is not None for delay in delays)
        yield told("sea_known_drifts, 3 changes", rows, name, delays, false)


def follow(inputs: np.ndarray, label: np.ndarray, find: Any) -> Iterator[int]:
    """The rows at which an alarm comes; after each the model is fitted on the 4,000 rows that follow."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    start = 0
    while start + 5_000 < len(label):
        model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
        model.fit(inputs[start : start + 4_000], label[start : start + 4_000])
        errors = (model.predict(inputs[start + 4_000 :]) != label[start + 4_000 :]).astype(float)
        at = next(iter(find(errors)), None)
        if at is None:
            return
        yield start + 4_000 + at
        start += 4_000 + at


def lost_rows(errors: np.ndarray, rows: int) -> list[int]:
    """Where the loss detector of the monitor alarms, window by window."""
    windows = [errors[at : at + rows] for at in range(0, len(errors) - rows + 1, rows)]
    chain = [WindowLosses(w, LossEvidence(mean_loss=float(w.mean()), groups=rows, losses=Digest(""))) for w in windows]
    judged = judge_losses(Harm(), chain, BUDGET)
    return [(number + 1) * rows for number, evidence in enumerate(judged) if evidence.lost]


def plant_return(rows: int, *, runs: int) -> Iterator[Planted]:
    """A mean loss of 0.2 that is lower for 60 windows and then 0.2 again, as it was accepted: every alarm is false."""
    for first in (2, 5, 20):
        for better in (0.18, 0.15, 0.1):
            rates = np.repeat([0.2, better, 0.2], np.array([first, 60, 60]) * rows)
            streams = [np.random.default_rng(run).random(len(rates)) < rates for run in range(runs)]
            hits = sum(bool(lost_rows(stream.astype(float), rows)) for stream in streams)
            what = f"loss 0.2 for {first} windows, {better:g} for 60, 0.2 again for 60; {runs} runs"
            yield Planted(what, rows, "penstock", "", None, hits)


def adwin(python: str, streams: np.ndarray) -> list[list[int]]:
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "streams.npy", streams)
        command = [python, "-c", ADWIN, str(Path(folder) / "streams.npy")]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [[int(word) for word in line.split()] for line in out.splitlines()]


def told(what: str, rows: int, watch: str, delays: list[int | None], false: int) -> Planted:
    found = [delay for delay in delays if delay is not None]
    return Planted(what, rows, watch, f"{len(found)}/{len(delays)}", float(np.median(found)) if found else None, false)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", default=os.environ.get("PENSTOCK_DATA", ""))
    options.add_argument("--tables", nargs="+", default=["noaa_weather", "bank_marketing", "phishing", "adult_income"])
    options.add_argument("--river", default="", help="python of an environment with river")
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--windows", type=int, default=60)
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    rows = []
    if given.data:
        for table in given.tables:
            for size in SIZES:
                found = shuffled(Path(given.data) / f"{table}.parquet", size, seeds=given.seeds, windows=given.windows)
                if found:
                    rows.append(show(found, given.json))
    else:
        print("no --data: only drifts in drawn data")
    for size in SIZES[:2]:
        for shift in (0.25, 0.5, 1.0):
            rows += [
                show(planted, given.json) for planted in plant_shift(shift, size, runs=given.runs, river=given.river)
            ]
    for size in (100, 400):
        rows += [show(planted, given.json) for planted in plant_return(size, runs=4 * given.runs)]
    sea = Path(given.data) / "sea_known_drifts.parquet"
    if given.data and sea.is_file():
        for size in (100, 500):
            rows += [show(planted, given.json) for planted in plant_sea(sea, size, given.river)]
    if given.json:
        print(json.dumps({"bench": "false_alarms", "results": rows}))


def show(found: Shuffled | Planted, as_json: bool) -> dict[str, Any]:
    held = {name: getattr(found, name) for name in found.__struct_fields__}
    if not as_json:
        shown = (
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in held.items()
        )
        print("  ".join(shown), flush=True)
    return held


if __name__ == "__main__":
    main()

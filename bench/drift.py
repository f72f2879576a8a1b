"""Drift of a large table against a stored reference: ours beside a plain polars pass over the table, and Evidently.

    python bench/drift.py [--rows 1000000] [--evidently FOLDER] [--folder DIR] [--rounds 3] [--json]

Two Parquet files of 30 columns of numbers and 10 of categories are made, in row groups of 131,072; in the second one
seven columns have moved. Each side is a process of its own, and is asked which columns moved: seconds are those of the
clock with the start of Python (`process_s`) and without it (`s`), `cpu` its processor time and `mb` its peak of memory,
both with the start; the median of the rounds is shown, sides taking turns.

  stored      penstock, the reference being a sketch that was kept: what is paid for new rows
  a tenth     the same with a reference of a tenth of the rows, to show that its size does not matter
  two files   penstock, both files read
  polars      the limit: counts per bin of numbers and per category, bins given, in one pass over the new file
  evidently   its DataDriftPreset on both files as pandas frames, from the environment in FOLDER; once, as it is slow
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from penstock import drift

MOVED = {"n0", "n1", "n2", "n3", "n4", "c0", "c1"}
CLOCK = "import json, sys, time\n"
OURS = """
from penstock import drift
t = time.perf_counter()
found = [c.name for c in drift.compare(sys.argv[1], sys.argv[2]).columns if c.drifted]
"""
POLARS = """
import polars as pl
t = time.perf_counter()
table = pl.scan_parquet(sys.argv[2])
bins = [((pl.col(f"n{n}") + 4) * 4).clip(0, 32).cast(pl.UInt8) for n in range(30)]
ask = [each.value_counts().implode() for each in bins]
ask += [pl.col(f"c{n}").value_counts().implode() for n in range(10)]
table.select(ask).collect(engine="streaming")
found = []
"""
EVIDENTLY = """
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
t = time.perf_counter()
a, b = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
for d in (a, b):
    for c in d.columns[30:]: d[c] = d[c].astype(object)
dd = DataDefinition(numerical_columns=list(a.columns[:30]), categorical_columns=list(a.columns[30:]))
Report([DataDriftPreset()]).run(Dataset.from_pandas(b, dd), Dataset.from_pandas(a, dd)).dict()
found = []
"""
# What the system says of a child that has ended counts its parent's memory in: it was a copy of it before it began.
TELL = """
s = time.perf_counter() - t
kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"s": s, "found": found, "mb": kb / 1024}))
"""


def make(path: Path, rows: int, seed: int, *, moved: bool) -> None:
    rng = np.random.default_rng(seed)
    columns: dict[str, pl.Series] = {}
    for n in range(30):
        drawn = rng.normal(size=rows) if n % 3 else rng.exponential(size=rows)
        columns[f"n{n}"] = pl.Series(drawn + (0.5 if moved and n < 5 else 0.0))
    for n in range(10):
        shares = np.arange(5 * (n + 1), 0, -1.0)
        shares = shares[::-1] if moved and n < 2 else shares
        places = rng.choice(len(shares), rows, p=shares / shares.sum())
        columns[f"c{n}"] = pl.Series([f"v{k}" for k in range(len(shares))]).gather(places).cast(pl.Categorical)
    pl.DataFrame(columns).write_parquet(path, row_group_size=131_072)


def measure(python: str, code: str, reference: Path, current: Path) -> dict[str, float]:
    start = time.perf_counter()
    process = subprocess.Popen(
        [python, "-c", CLOCK + code + TELL, str(reference), str(current)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.read().splitlines()[-1])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if told["found"] and set(told["found"]) != MOVED:
        print(f"found {told['found']}, which is not what moved", file=sys.stderr)
    return {
        "s": told["s"],
        "process_s": time.perf_counter() - start,
        "cpu": used.ru_utime + used.ru_stime,
        "mb": told["mb"],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--evidently", default="", help="folder of an environment with evidently")
    options.add_argument("--folder", default=None, help="where the files are made")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        old, new = folder / "old.parquet", folder / "new.parquet"
        make(old, given.rows, 0, moved=False)
        make(new, given.rows, 1, moved=True)
        make(folder / "less.parquet", given.rows // 10, 2, moved=False)
        kept = keep(old, folder / "old.sketch"), keep(folder / "less.parquet", folder / "less.sketch")
        sides = {
            "stored": (sys.executable, OURS, kept[0]),
            "a tenth": (sys.executable, OURS, kept[1]),
            "two files": (sys.executable, OURS, old),
            "polars": (sys.executable, POLARS, old),
        }
        rounds = [{name: measure(*side, new) for name, side in sides.items()} for _ in range(given.rounds)]
        found = {
            name: {figure: statistics.median(each[name][figure] for each in rounds) for figure in rounds[0][name]}
            for name in sides
        }
        if given.evidently:
            found["evidently"] = measure(f"{given.evidently}/bin/python", EVIDENTLY, old, new)
    if given.json:
        print(json.dumps({"bench": "drift", "rows": given.rows, "results": found}))
        return
    print(f"{given.rows:,} rows x 40 columns against a reference; {len(MOVED)} columns moved")
    for name, figures in found.items():
        print(f"  {name:<10}" + "".join(f"  {figure} {value:8.2f}" for figure, value in figures.items()))


def keep(path: Path, target: Path) -> Path:
    drift.save(drift.sketch(path), target)
    return target


if __name__ == "__main__":
    main()

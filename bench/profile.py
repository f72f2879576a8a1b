"""Profiling and checking a Parquet file of any size in bounded memory, beside a plain scan of the same file.

    python bench/profile.py [--gigabytes 0.25] [--limit-mb 2000] [--only scan,profile] [--folder DIR] [--json]

A child process each: `scan` reads every column batch by batch, `statistics` lets polars' streaming engine compute
the nulls, extremes, means and deviations, `profile` and `check` are ours (a check profiles as well).
The parent watches the resident memory of a child every 5 ms, and ends it where it passes the limit. The page cache
is warm for all of them. A figure is seconds, seconds of all processors together, and the
peak of resident memory in MB.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

GROUP = 500_000  # rows of a row group
PLANS = np.array(["free", "basic", "pro"])
CHECKS = """
[project]
name = "bench"
task = "binary"

[data.rows]
source = "rows.parquet"
key = "id"
time = "at"

[[data.rows.check]]
column = "amount"
not_null = true
between = [0, 1000000]

[[data.rows.check]]
column = "plan"
allowed = ["free", "basic", "pro"]

[[data.rows.check]]
column = "token"
pattern = "[0-9a-f]{16}"

[[data.rows.check]]
expression = "quantity > 0 AND amount >= 0"

[[data.rows.check]]
column = "at"
monotonic = "rising"
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gigabytes", type=float, default=0.25)
    options.add_argument("--limit-mb", type=float, default=2000.0)
    options.add_argument("--folder", type=Path, help="where the file is written; a temporary folder if not given")
    options.add_argument("--only", default="", help="some of the children, with commas between them")
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options.add_argument("--child", help=argparse.SUPPRESS)
    options.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        WORK[given.child](given.file)
        return
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-", dir=given.folder))
    try:
        measure(folder, given)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, given: argparse.Namespace) -> None:
    file = folder / "rows.parquet"
    rows = make_file(file, int(given.gigabytes * 2**30))
    chosen = given.only.split(",") if given.only else WORK
    figures = {name: watch(name, file, given.limit_mb) for name in chosen}
    size = file.stat().st_size / 2**30
    if given.json:
        print(json.dumps({"bench": "profile", "gigabytes": size, "rows": rows, "figures": figures}))
        return
    print(f"{size:.2f} GiB of Parquet, {rows:,} rows, {given.limit_mb:.0f} MB allowed; {os.cpu_count()} cores")
    print(f"Python {platform.python_version()}, polars {pl.__version__}")
    for name, figure in figures.items():
        told = figure["failed"] or f"{figure['seconds']:8.1f} s  {figure['cpu_s']:8.1f} s  {figure['peak_mb']:7.0f} MB"
        print(f"{name:<12} {told}")


def make_file(path: Path, size: int) -> int:
    """Ten columns: a key, a time, amounts, categories, a text that repeats in no row."""
    first = make_rows(0)
    first.write_parquet(path)
    groups = max(size // path.stat().st_size, 1)

    def generate(columns: Any, predicate: Any, limit: Any, batch: Any) -> Any:
        for group in range(groups):
            frame = make_rows(group)
            yield frame if columns is None else frame.select(columns)

    register_io_source(generate, schema=first.schema).sink_parquet(path, row_group_size=GROUP)
    return groups * GROUP


def make_rows(group: int) -> pl.DataFrame:
    chance = np.random.default_rng(group)
    numbers = np.arange(group * GROUP, (group + 1) * GROUP)
    tokens = pl.Series(chance.integers(0, 2**62, GROUP)).cast(pl.String).str.zfill(16).str.tail(16)
    return pl.DataFrame(
        {
            "id": numbers,
            "at": (numbers * 1_000_000 + 1_700_000_000_000_000).astype("datetime64[us]"),
            "amount": chance.lognormal(3, 1, GROUP),
            "score": chance.random(GROUP),
            "x1": chance.normal(size=GROUP),
            "x2": chance.normal(size=GROUP),
            "quantity": chance.integers(1, 100, GROUP),
            "plan": PLANS[chance.integers(0, 3, GROUP)],
            "city": pl.Series(chance.integers(0, 500, GROUP)).cast(pl.String),
            "token": tokens,
        }
    )


def watch(name: str, file: Path, limit_mb: float) -> dict[str, Any]:
    """Seconds and peak memory of one child."""
    command = [sys.executable, __file__, "--child", name, "--file", str(file)]
    began, spent = time.perf_counter(), cpu_seconds()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = 0.0
    while child.poll() is None:
        peak = max(peak, resident_mb(child.pid))
        if peak > limit_mb:
            child.kill()
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    error = child.stderr.read().strip()[-300:] if child.stderr else ""
    failed = f"ended at {peak:.0f} MB" if peak > limit_mb else error if child.returncode else ""
    return {"seconds": seconds, "cpu_s": cpu_seconds() - spent, "peak_mb": peak, "failed": failed}


def cpu_seconds() -> float:
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def scan(file: Path) -> None:
    from penstock.datasets.frames import open_files

    for _ in open_files([(file.name, file)]).batches():
        pass


def statistics(file: Path) -> None:
    numbers = pl.col(pl.Float64, pl.Int64)
    asked = [
        pl.all().null_count().name.suffix(" nulls"),
        pl.all().min().name.suffix(" low"),
        pl.all().max().name.suffix(" high"),
        numbers.mean().name.suffix(" mean"),
        numbers.std().name.suffix(" std"),
        pl.all().approx_n_unique().name.suffix(" distinct"),
    ]
    pl.scan_parquet(file).select(asked).collect(engine="streaming")


def profile(file: Path) -> None:
    from penstock.datasets.frames import open_files
    from penstock.datasets.profile import profile_table

    profile_table(open_files([(file.name, file)]))


def check(file: Path) -> None:
    from datetime import UTC, datetime

    from penstock.core.ids import Digest
    from penstock.core.project.parse import parse_project
    from penstock.datasets.checks import run_checks
    from penstock.datasets.frames import open_files

    section = parse_project(CHECKS, root=file.parent).data["rows"]
    found = run_checks(open_files([(file.name, file)]), section, tree=Digest("0" * 64), now=datetime.now(UTC))
    assert found.report.passed, found.report.failures


WORK = {"scan": scan, "statistics": statistics, "profile": profile, "check": check}


if __name__ == "__main__":
    main()

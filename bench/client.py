"""What our own client costs: microseconds a call at the caller, and points a second through the wire.

    python bench/client.py [--calls 50000] [--points 200000] [--json]

Calls: `run.log(loss=0.3, step=i)` beside a bare loop that writes a line of the same length with `os.write`, once while
the server takes what is logged, and once while there is no server. Wire: metrics of a spool delivered to a server in a
process of its own, until its commit, beside a bare `executemany` of the standard library's sqlite3 into a table of
points. Interleaved, in one run.
"""

import argparse
import contextlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import penstock as ps

BATCH = 20  # metrics of one call, for the wire


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=50_000)
    options.add_argument("--points", type=int, default=200_000)
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=".") as name:
        folder = Path(name).absolute()
        os.environ["PENSTOCK_SPOOL"] = str(folder / "spool")
        figures: dict[str, dict[str, float]] = {"bare os.write": measure_bare_writes(folder / "bare", given.calls)}
        with running_server(folder / "home") as url:
            os.environ["PENSTOCK_URL"] = url
            figures["log, server takes it"] = measure_calls(given.calls)
            wire = {"bare executemany": bare_executemany(folder / "bare.db", given.points)}
            wire |= {f"spool, {size} a call": through_the_wire(given.points, size) for size in (BATCH, 1)}
        os.environ["PENSTOCK_URL"] = "http://127.0.0.1:9"
        figures["log, no server"] = measure_calls(given.calls)
    if given.json:
        print(json.dumps({"bench": "client", "cpus": os.cpu_count(), "calls": figures, "points_per_s": wire}))
        return
    print(f"{os.cpu_count()} cores, {platform.machine()}, sqlite {sqlite3.sqlite_version}\n")
    print(f"{'microseconds a call':<24}{'median':>9}{'p99':>9}{'p99.9':>9}{'longest':>10}")
    for what, figure in figures.items():
        print(f"{what:<24}{figure['median']:>9.1f}{figure['p99']:>9.1f}{figure['p99.9']:>9.1f}{figure['max']:>10,.0f}")
    print(f"\n{'points a second':<24}")
    for what, speed in wire.items():
        print(f"{what:<24}{speed:>12,.0f}")


def measure_bare_writes(path: Path, calls: int) -> dict[str, float]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = bytes(62)  # what a call of `log` writes
    try:
        return time_calls(lambda _: os.write(descriptor, line), calls)
    finally:
        os.close(descriptor)


def measure_calls(calls: int) -> dict[str, float]:
    run = ps.start_run("bench")
    try:
        return time_calls(lambda step: run.log(loss=0.3, step=step), calls)
    finally:
        run.end(wait_s=1.0)


def time_calls(call: Callable[[int], object], calls: int) -> dict[str, float]:
    times = []
    for step in range(calls):
        began = time.perf_counter_ns()
        call(step)
        times.append(time.perf_counter_ns() - began)
    times.sort()
    return {
        "median": times[calls // 2] / 1e3,
        "p99": times[int(calls * 0.99)] / 1e3,
        "p99.9": times[int(calls * 0.999)] / 1e3,
        "max": times[-1] / 1e3,
    }


def through_the_wire(points: int, size: int) -> float:
    """From the first call to the commit of the last point."""
    run = ps.start_run("bench")
    run.flush()
    values = {f"metric-{number:02}": number / 7 for number in range(size)}
    began = time.perf_counter()
    for step in range(points // size):
        run.log(values, step=step)
    if not run.flush(300):
        sys.exit("the points did not arrive")
    passed = time.perf_counter() - began
    run.end()
    return points / passed


def bare_executemany(path: Path, points: int) -> float:
    """Rows of a series, step, time and value, in transactions of 4,000, each synced."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE points (series INTEGER, step INTEGER, at INTEGER, value REAL, "
        "PRIMARY KEY (series, step, at, value)) WITHOUT ROWID"
    )
    rows = [(number % BATCH, number // BATCH, 1_700_000_000_000_000 + number, number / 7) for number in range(points)]
    began = time.perf_counter()
    for start in range(0, points, 4_000):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", rows[start : start + 4_000])
        connection.execute("COMMIT")
    passed = time.perf_counter() - began
    connection.close()
    return points / passed


@contextlib.contextmanager
def running_server(home: Path) -> Iterator[str]:
    """The URL of a server in a process of its own."""
    command = [sys.executable, "-m", "penstock", "server", "--home", str(home), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()

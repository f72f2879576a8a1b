"""From the start of a server to its first good write after kill -9, with much data in its home, beside bare sqlite3.

    python bench/restart.py [--mb 1000] [--wal-mb 64] [--rounds 5] [--json]

The home holds `--mb` megabytes: runs with points, params and tags in the database, artifacts in the object store. In
each round writers are at work when the server is killed, a log of `--wal-mb` megabytes is left that has to be read
again, and the next server is timed from its exec to the answer of the first `runs/create`. "bare" is a Python that
opens the same file left in the same state, and commits one row. "cold" has the machine forget the pages of files
first, where that is allowed. Seconds, the middle and the longest of the rounds.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx

from penstock.app.app import open_app
from penstock.core.config import Config
from penstock.tracking.types import RunStatus

WRITERS, SERIES, POINTS = 4, 5, 1_000
RUNS_AT_ONCE = 200
ARTIFACT_BYTES = 3 << 20
BARE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA synchronous = FULL")
db.execute("BEGIN IMMEDIATE")
db.execute("INSERT INTO bench_restart VALUES (1)")
db.execute("COMMIT")
print("written", flush=True)
sys.stdin.read()
"""
READER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM experiments").fetchone()  # from now on the log cannot be written back
print("reads", flush=True)
sys.stdin.read()
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mb", type=int, default=1_000)
    options.add_argument("--wal-mb", type=int, default=64)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=".") as folder:
        home = Path(folder) / "home"
        began = time.perf_counter()
        fill(home, given.mb << 20)
        size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        print(f"filled {size >> 20:,} MB in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        found = measure(home, given.rounds, given.wal_mb << 20)
    figures = {name: {"middle": statistics.median(each), "longest": max(each)} for name, each in found.items()}
    if given.json:
        print(json.dumps({"bench": "restart", "mb": size >> 20, "wal_mb": given.wal_mb, "seconds": figures}))
        return
    print(f"{size >> 20:,} MB, a log of {given.wal_mb} MB; seconds to the first good write after kill -9")
    for name, each in figures.items():
        print(f"{name:<20} {each['middle']:>8.2f} {each['longest']:>8.2f}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")


def fill(home: Path, size: int) -> None:
    """A home with `size` bytes, a third of them in the object store; everything in the form that the server leaves."""
    services = open_app(Config(home=home))
    chance = random.Random(1)
    try:
        first = services.tracking.create_run("bench", tags={"team": "risk"})
        for step in range(size // 3 // ARTIFACT_BYTES):
            with services.objects.open_writer() as writer:
                writer.write(chance.randbytes(ARTIFACT_BYTES))
                digest = writer.finish()
            services.artifacts.log_artifact(first.id, f"weights/{step}.bin", digest, ARTIFACT_BYTES)
        services.tracking.end_run(first.id, RunStatus.FINISHED)
    finally:
        services.close()
    with contextlib.closing(sqlite3.connect(home / "penstock.db", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -500000")
        db.execute("CREATE TABLE bench_restart (value INTEGER)")
        while (home / "penstock.db").stat().st_size < size - size // 3:
            add_runs(db)


def add_runs(db: sqlite3.Connection) -> None:
    """More runs with points, params and tags, as copies of the first one."""
    (last,) = db.execute("SELECT max(number) FROM runs").fetchone()
    names = {"first": last + 1, "last": last + RUNS_AT_ONCE, "series": SERIES, "points": POINTS}
    count = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(runs)") if name not in ("number", "id")]
    listed = ", ".join(columns)
    db.execute("BEGIN")
    db.execute(
        f"INSERT INTO runs (number, id, {listed}) {count} SELECT i, printf('%032x', i), "
        f"{', '.join(f'r.{name}' for name in columns)} FROM n, runs r WHERE r.number = 1",
        names,
    )
    for table in ("params", "run_tags"):
        db.execute(
            f"INSERT INTO {table} (run, experiment_id, key, value) {count}, k(j) AS (SELECT 1 UNION ALL "
            "SELECT j + 1 FROM k WHERE j < :series) SELECT i, (SELECT experiment_id FROM runs WHERE number = 1), "
            "'k' || j, i FROM n, k",
            names,
        )
    db.execute(
        f"INSERT INTO metric_series (run, experiment_id, key, step, at, value) {count}, k(j) AS (SELECT 1 UNION ALL "
        "SELECT j + 1 FROM k WHERE j < :series) SELECT i, (SELECT experiment_id FROM runs WHERE number = 1), 'm' || j, "
        ":points, :points, i FROM n, k",
        names,
    )
    db.execute(
        "INSERT INTO metric_points (series, at, step, value) WITH RECURSIVE p(s) AS (SELECT 1 UNION ALL SELECT s + 1 "
        "FROM p WHERE s < :points) SELECT number, s, s, number + s FROM metric_series, p WHERE run >= :first",
        names,
    )
    db.execute("COMMIT")


def measure(home: Path, rounds: int, wal_size: int) -> dict[str, list[float]]:
    """Seconds to the first good write, by way of starting."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for is_cold in (False, True):
            for name, start in (("penstock server", start_ours), ("bare", start_bare)):
                leave_behind(home, wal_size)
                if is_cold and not forget_pages():
                    continue
                began = time.perf_counter()
                with start(home):
                    taken = time.perf_counter() - began
                found.setdefault(f"{name}, cold" if is_cold else name, []).append(taken)
    return found


def leave_behind(home: Path, wal_size: int) -> None:
    """A server that was killed while it wrote, and a log that nobody has written back."""
    with contextlib.closing(sqlite3.connect(home / "penstock.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    stop = threading.Event()
    with python(READER, home), start_ours(home) as url:
        writers = [threading.Thread(target=write, args=(url, stop)) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        while (home / "penstock.db-wal").stat().st_size < wal_size:
            time.sleep(0.01)
    stop.set()
    for writer in writers:
        writer.join()
    assert (home / "penstock.db-wal").stat().st_size >= wal_size


def write(url: str, stop: threading.Event) -> None:
    """Log batches until the server is gone."""
    with httpx.Client(base_url=url, trust_env=False) as client, contextlib.suppress(httpx.TransportError):
        run = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
        step = 0
        while not stop.is_set():
            step += 1
            metrics = [{"key": f"m{n}", "value": n, "timestamp": step, "step": step} for n in range(1_000)]
            client.post("/api/2.0/mlflow/runs/log-batch", json={"run_id": run["run_id"], "metrics": metrics})


@contextlib.contextmanager
def start_ours(home: Path) -> Iterator[str]:
    """A server that has taken a write; it is killed at the end of the block. Gives its URL."""
    command = [sys.executable, "-m", "penstock", "server", "--home", str(home), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url: str = json.loads(process.stdout.readline())["url"]
        made = httpx.post(f"{url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, trust_env=False, timeout=60)
        made.raise_for_status()
        try:
            yield url
        finally:
            process.send_signal(signal.SIGKILL)


def start_bare(home: Path) -> AbstractContextManager[None]:
    """A Python that has written a row with sqlite3 alone; it is killed at the end of the block."""
    return python(BARE, home)


@contextlib.contextmanager
def python(code: str, home: Path) -> Iterator[None]:
    """A Python that has done something with the database; it is killed, so that it cannot tidy up."""
    command = [sys.executable, "-c", code, str(home / "penstock.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def forget_pages() -> bool:
    """Have the machine drop what it keeps of files in memory; False where that is not allowed."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()

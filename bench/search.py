"""Milliseconds for a page of a search for runs, beside bare sqlite3 with one hand-written query of the same answer.

    python bench/search.py [--runs 10000] [--keys 10] [--json]

Each run has `--keys` params and metrics and half as many tags. "search" gives 100 runs with all that was logged to
them, "encoded" is that with MLflow's JSON made of it, "bare" the time sqlite3 takes to find the numbers of the same
runs and read their rows. Milliseconds of CPU, the middle of several rounds, in turns.
A million runs: `--runs 1000000 --keys 2`.
"""

import argparse
import json
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from penstock.server.protocols.mlflow.search import to_found_run
from penstock.storage.columns import metadata
from penstock.storage.database import Database
from penstock.tracking.search.runs import RunSearch
from penstock.tracking.tables import to_sortable

TOP = 100
TABLES = ("experiments", "experiment_tags", "runs", "metric_series", "params", "run_tags")


class Case(Struct):
    """One search, and how its runs are found by hand."""

    name: str
    filter: str
    order_by: list[str]
    by_hand: str


CASES = [
    Case(
        "two clauses, ordered",
        "metrics.m0 > 0.9 and params.p0 = '0.01'",
        ["metrics.m0 DESC"],
        f"""SELECT m.run FROM metric_series m
        JOIN params p ON p.run = m.run AND p.key = 'p0' AND p.value = '0.01'
        WHERE m.experiment_id = 1 AND m.key = 'm0' AND m.value > {to_sortable(0.9)}
        ORDER BY m.value DESC LIMIT {TOP}""",
    ),
    Case(
        "newest",
        "",
        [],
        f"SELECT number FROM runs WHERE experiment_id = 1 ORDER BY started_at DESC LIMIT {TOP}",
    ),
    Case(
        "ordered by a metric",
        "",
        ["metrics.m1"],
        f"SELECT run FROM metric_series WHERE experiment_id = 1 AND key = 'm1' ORDER BY value LIMIT {TOP}",
    ),
    Case(
        "ordered by a param with three values",
        "",
        ["params.p0"],
        f"""SELECT run FROM params WHERE experiment_id = 1 AND key = 'p0'
        ORDER BY substr(value, 1, 200), run DESC LIMIT {TOP}""",
    ),
    Case(
        "a tag of one run in a thousand, ordered",
        "tags.t0 = 'rare'",
        ["metrics.m1 DESC"],
        f"""SELECT t.run FROM run_tags t JOIN metric_series m ON m.run = t.run AND m.key = 'm1'
        WHERE t.experiment_id = 1 AND t.key = 't0' AND substr(t.value, 1, 200) = 'rare'
        ORDER BY m.value DESC LIMIT {TOP}""",
    ),
    Case(
        "nothing matches",
        "params.p0 = 'none' and metrics.m0 > 0.5",
        ["metrics.m1 DESC"],
        "SELECT run FROM params WHERE experiment_id = 1 AND key = 'p0' AND substr(value, 1, 200) = 'none'",
    ),
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--keys", type=int, default=10, help="params and metrics of a run")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=".") as folder:
        path = Path(folder) / "penstock.db"
        db = Database(f"sqlite:///{path}")
        with db.engine.begin() as connection:
            metadata.create_all(connection, tables=[metadata.tables[name] for name in TABLES])
        began = time.perf_counter()
        fill(path, given.runs, given.keys)
        print(f"filled {given.runs:,} runs in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        figures = [measure(db, path, case, given.rounds) for case in CASES]
        db.close()
    if given.json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), "runs": given.runs, "ms": figures}))
        return
    print(f"{given.runs:,} runs, {given.keys} params and metrics each; milliseconds for the first {TOP}")
    print(f"{'':42}{'search':>9}{'encoded':>9}{'bare':>9}")
    for figure in figures:
        print(f"{figure['name']:42}{figure['search']:>9.2f}{figure['encoded']:>9.2f}{figure['bare']:>9.2f}")


def fill(path: Path, runs: int, keys: int) -> None:
    """Rows made by the database itself; the indexes are built behind them."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.create_function("as_key", 1, lambda number: to_sortable(number % 1_000_000 / 1_000_000))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO experiments VALUES (1, 'bench', '', 0, 0, NULL, 'bench')")
    counted = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})"
    connection.execute(
        f"""{counted} INSERT INTO runs
        (number, id, experiment_id, name, status, started_at, ended_at, created_by, artifact_uri, source)
        SELECT i, lower(hex(randomblob(16))), 1, 'run-' || i, 'finished', 1700000000000000 + i * 1000000,
        1700000000000000 + i * 1000000 + 500000, 'bench', 'mlflow-artifacts:/1/' || i || '/artifacts', '{{}}' FROM n"""
    )
    keyed = f"{counted}, k(j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM k WHERE j < {keys - 1})"
    connection.execute(
        f"""{keyed} INSERT INTO metric_series (run, experiment_id, key, step, at, value)
        SELECT i, 1, 'm' || j, 10, 1700000000000000, as_key(abs(random() % 1000000)) FROM n CROSS JOIN k"""
    )
    rates = "CASE abs(random() % 3) WHEN 0 THEN '0.1' WHEN 1 THEN '0.01' ELSE '0.001' END"
    connection.execute(
        f"""{keyed} INSERT INTO params SELECT i, 1, 'p' || j,
        CASE j WHEN 0 THEN {rates} ELSE CAST(abs(random() % 100) AS TEXT) END FROM n CROSS JOIN k"""
    )
    connection.execute(
        f"""{keyed} INSERT INTO run_tags SELECT i, 1, 't' || j,
        CASE WHEN j = 0 AND i % 1000 = 7 THEN 'rare' ELSE 'v' || abs(random() % 10) END
        FROM n CROSS JOIN k WHERE j <= {keys // 2}"""
    )
    connection.execute("COMMIT")
    for _, statement in indexes:
        connection.execute(statement)
    connection.close()


def measure(db: Database, path: Path, case: Case, rounds: int) -> dict[str, float | str]:
    """The middle time of each way, in milliseconds, in turns."""
    search = RunSearch()
    bare = sqlite3.connect(path)

    def find() -> object:
        with db.snapshot() as tx:
            return search.find(tx, [1], case.filter, case.order_by, max_results=TOP)

    def encode() -> object:
        with db.snapshot() as tx:
            found = search.find(tx, [1], case.filter, case.order_by, max_results=TOP)
        return msgspec.json.encode([to_found_run(run) for run in found.runs])

    def by_hand() -> object:
        numbers = [row[0] for row in bare.execute(case.by_hand)]
        marks = ", ".join("?" * len(numbers))
        tables = ("runs WHERE number", "metric_series WHERE run", "params WHERE run", "run_tags WHERE run")
        return [bare.execute(f"SELECT * FROM {table} IN ({marks})", numbers).fetchall() for table in tables]

    times: dict[str, list[float]] = {"search": [], "encoded": [], "bare": []}
    ways: list[tuple[str, Callable[[], object]]] = [("search", find), ("encoded", encode), ("bare", by_hand)]
    for _ in range(rounds):
        for name, way in ways:
            began = time.thread_time()
            way()
            times[name].append((time.thread_time() - began) * 1000)
    bare.close()
    return {"name": case.name, **{name: statistics.median(held) for name, held in times.items()}}


if __name__ == "__main__":
    main()

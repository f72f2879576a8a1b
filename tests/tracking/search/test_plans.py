"""No statement of a search reads a whole table, however the search is answered."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from random import Random
from typing import Any

import pytest

from factories import open_database
from penstock.storage.database import Database
from penstock.tracking.search.runs import RunSearch
from penstock.tracking.search.walk import Effort
from penstock.tracking.types import View
from tracking.search.model import ModelRun, keep, model_runs

pytestmark = pytest.mark.sqlite  # what it reads are SQLite's own plans
BIG_TABLES = ("runs", "metric_series", "metric_points", "params", "run_tags")
FULL_SCAN = re.compile(rf"SCAN (?:{'|'.join(BIG_TABLES)})\b")
FILTERS = [
    "",
    "metrics.a > 1 AND params.a = 'x'",
    "metrics.a != 0 AND tags.`t.u` != 'x'",
    "params.a LIKE 'x%' AND params.`p q` ILIKE '%Y'",
    "tags.a IS NULL AND tags.`t.u` IS NOT NULL",
    "run_name = 'x' AND start_time > 5",
    "run_name LIKE 'x%' AND end_time < 2000000000000",
    "status = 'FAILED'",
    "status LIKE 'F%' AND user_id = 'tester'",
    "run_id IN ('a', 'b')",
]
ORDERS: list[list[str]] = [
    [],
    ["metrics.a DESC"],
    ["metrics.a"],
    ["params.a DESC", "metrics.b"],
    ["tags.a"],
    ["end_time DESC"],
    ["run_name"],
    ["run_id DESC"],
    ["status"],
]
_BEGIN = 1_700_000_000_000_000  # microseconds
EFFORTS = [Effort(), Effort(smallest_stretch=16, largest_stretch=64, least_walk=1), Effort(least_walk=10**9)]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    db = open_database(tmp_path_factory.mktemp("plans"))
    keep(db, model_runs(Random(7), 3_000))
    yield db
    db.close()


@pytest.fixture(scope="module")
def plans(db: Database) -> Iterator[sqlite3.Connection]:
    """What is asked for plans: a connection reads the whole schema before its first one."""
    with closing(sqlite3.connect(db.url.removeprefix("sqlite:///"))) as connection:
        yield connection


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    db = open_database(tmp_path_factory.mktemp("small"))
    keep(db, _unlike_runs(2_000))
    yield db
    db.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    db = open_database(tmp_path_factory.mktemp("large"))
    keep(db, _unlike_runs(20_000))
    yield db
    db.close()


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("order_by", ORDERS, ids=str)
def test_no_statement_scans_a_big_table(
    db: Database, plans: sqlite3.Connection, filter: str, order_by: list[str]
) -> None:
    statements: list[str] = []
    for effort in EFFORTS:
        for experiments in ([1], [1, 2, 3]):
            token = ""
            for _ in range(3):
                token = _search(db, statements, RunSearch(effort=effort), experiments, filter, order_by, token)
                if not token:
                    break
    for statement in dict.fromkeys(statements):
        plan = _explain(plans, statement)
        assert not FULL_SCAN.search(plan), f"{statement}\n{plan}"
    assert len(statements) > 3


def test_a_statement_that_reads_a_whole_table_would_be_noticed(plans: sqlite3.Connection) -> None:
    assert FULL_SCAN.search(_explain(plans, "SELECT number FROM runs WHERE created_by = 'x'"))
    assert FULL_SCAN.search(_explain(plans, "SELECT run FROM params WHERE value = 'x'"))


@pytest.mark.parametrize("order_by", ORDERS[:-1], ids=str)  # nothing is in the order of a status
@pytest.mark.parametrize(
    "filter", ["", "metrics.a > 0.5", "metrics.a < 0.5 AND metrics.b >= 0", "end_time > 1", "tags.a = 'rare'"]
)
def test_a_page_costs_no_more_when_there_are_many_more_runs(
    small: Database, large: Database, filter: str, order_by: list[str]
) -> None:
    for page in (1, 2):
        assert _count_steps(large, filter, order_by, page) < 2 * _count_steps(small, filter, order_by, page)


def _count_steps(db: Database, filter: str, order_by: list[str], page: int) -> int:
    """How many hundred steps SQLite's machine takes for a page."""
    token, steps = "", 0

    def count() -> None:
        nonlocal steps
        steps += 1

    for _ in range(page):
        steps = 0
        with db.snapshot() as tx:
            driver: Any = tx.connection.connection.driver_connection
            driver.set_progress_handler(count, 100)
            try:
                token = RunSearch().find(tx, [1], filter, order_by, max_results=20, page_token=token).next
            finally:
                driver.set_progress_handler(None, 0)
    return steps


def _unlike_runs(count: int) -> list[ModelRun]:
    """Runs that differ in everything but what 25 of them share."""
    chance = Random(count)
    times = [_BEGIN + number * 1_000 for number in range(count)]
    return [
        ModelRun(
            id=f"{chance.getrandbits(128):032x}",
            experiment_id=1,
            name=f"run {chance.random()}",
            status="finished",
            started_at=started_at,
            ended_at=started_at + chance.randrange(10**9),
            is_deleted=False,
            metric={"a": chance.random(), "b": chance.random()},
            param={"a": str(chance.random())},
            tag={"a": "rare" if number % (count // 25) == 0 else chance.choice("xyz")},
        )
        for number, started_at in enumerate(times)
    ]


def _search(db: Database, statements: list[str], search: RunSearch, *asked: Any) -> str:
    experiments, filter, order_by, token = asked
    with db.snapshot() as tx:
        driver: Any = tx.connection.connection.driver_connection
        driver.set_trace_callback(statements.append)
        try:
            page = search.find(tx, experiments, filter, order_by, View.ACTIVE, 20, token)
        finally:
            driver.set_trace_callback(None)
    return page.next


def _explain(plans: sqlite3.Connection, statement: str) -> str:
    return "\n".join(row[3] for row in plans.execute(f"EXPLAIN QUERY PLAN {statement}"))

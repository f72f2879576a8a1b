"""What holds for every test: nothing it opened stays open; and what was recorded in a test's `db`."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import factories
import postgres_cluster
from penstock.core.events import Edge, Entry
from penstock.storage.database import Database

pytest_plugins = ["own_folder"]
# They run where other clients are installed: `make test-mlflow`, `make test-serving`.
collect_ignore = ["mlflow_clients", "serving_clients"]
os.environ.pop("COLUMNS", None)  # the terminal of whoever runs the tests is none of theirs
# No certificate is ever looked at, as everything is on this machine; reading all of them takes longer than most tests.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)
# Threads of a numeric library wait for each other, spinning; with more tests than cores that takes most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgres"], default="sqlite", help="what the tests run on")
    parser.addoption("--thorough", action="store_true", help="tests that try a part of what they have try all of it")


def pytest_configure(config: pytest.Config) -> None:
    factories.ENGINES.append(config.getoption("--database"))
    examples = 100 if config.getoption("--thorough") else 25
    settings.register_profile("here", deadline=None, max_examples=examples)  # a busy machine is no failure
    settings.load_profile("here")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    postgres_cluster.remove_all()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is about SQLite's own files does not run on PostgreSQL, and of some parameters a few do."""
    on_postgres, is_thorough = config.getoption("--database") == "postgres", config.getoption("--thorough")
    counts: Counter[str] = Counter()
    kept, left_out = [], []
    for item in items:
        every = item.get_closest_marker("every")
        test = item.nodeid.partition("[")[0]
        is_skipped = every is not None and not is_thorough and counts[test] % every.args[0] != 0
        is_skipped |= on_postgres and item.get_closest_marker("sqlite") is not None
        (left_out if is_skipped else kept).append(item)
        counts[test] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_collection_finish() -> None:
    """What was imported stays for good: to look through it again and again would take a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(autouse=True, scope="module")
def _databases_of_modules_are_closed() -> Iterator[None]:
    before = factories.count_databases()
    yield
    factories.close_databases(before)


@pytest.fixture(autouse=True)
def _databases_are_closed(tmp_path: Path) -> Iterator[None]:  # before its folder goes
    before = factories.count_databases()
    yield
    factories.close_databases(before)


@pytest.fixture
def entries(db: Database) -> list[Entry]:
    """The audit entries of all that is written from now on."""
    kept: list[Entry] = []
    db.on_group(lambda connection, now, done: kept.extend(entry for tx in done for entry in tx.entries))
    return kept


@pytest.fixture
def edges(db: Database) -> list[Edge]:
    """The lineage edges of all that is written from now on."""
    kept: list[Edge] = []
    db.on_group(lambda connection, now, done: kept.extend(edge for tx in done for edge in tx.edges))
    return kept


@pytest.fixture(scope="session")
def s3() -> Iterator[object]:
    """A server of the S3 API, and the environment that leads to it."""
    import s3_server  # takes a second, which most tests need not spend

    with s3_server.running() as server:
        yield server

"""kill -9 of a server under eight writers: nothing acknowledged is lost or doubled, nothing is there by halves."""

import contextlib
import os
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine

import postgres_cluster
from journeys.storm.storm import Storm, check_store, seeded
from sdk.spool.servers import Server

POINTS = {  # where the server kills itself, and up to which pass
    "storage.writer.before_commit": 60,
    "storage.writer.after_commit": 60,
    "objects.append": 12,
    "objects.fsync": 6,
    "objects.rename": 6,
    "objects.renamed": 6,
}


@pytest.fixture(
    params=[pytest.param("sqlite", marks=pytest.mark.sqlite), pytest.param("postgres", marks=pytest.mark.postgres)]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table; the one of a home folder, or one in PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'penstock.db'}"
        return
    databases = postgres_cluster.databases()
    made = databases.create(template="template0")
    yield made
    databases.drop(made)


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    return 100 if pytestconfig.getoption("--thorough") else 6


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_server_that_is_killed_again_and_again_keeps_what_it_acknowledged(
    database: str, kills: int, tmp_path: Path
) -> None:
    chance = seeded()
    server = Server(tmp_path / "home", "--database", database)
    restarts = []
    server.start()
    try:
        with Storm(server, chance) as storm:
            storm.wait_for_more(200)
            for number in range(kills):
                server.kill()
                armed = number % 2 == 1
                point = chance.choice(list(POINTS))
                armed_with = f"{point}=kill@{chance.randint(1, POINTS[point])}" if armed else ""
                began = time.monotonic()
                server.launch(PENSTOCK_FAILPOINTS=armed_with)
                if not armed:
                    storm.wait_for_more(1)
                    restarts.append(time.monotonic() - began)
                    time.sleep(chance.uniform(0.0, 1.5))
                elif server.wait():
                    wait_for_end(server, 5.0)
            server.kill()
            server.start()
            storm.wait_for_more(200)
        print(f"first good write {statistics.median(restarts):.2f} s after the start, {max(restarts):.2f} s at most")
        storm.check(server)
    finally:
        server.kill()
    check_store(database, server.home)


@pytest.fixture
def cluster() -> Iterator[postgres_cluster.Cluster]:
    """A PostgreSQL server that may be killed."""
    made = postgres_cluster.Cluster()
    yield made
    made.remove()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(1_800)
def test_a_database_that_dies_under_a_server_keeps_what_was_acknowledged(
    cluster: postgres_cluster.Cluster, kills: int, tmp_path: Path
) -> None:
    chance = seeded()
    admin = create_engine(cluster.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE storm TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    database = cluster.url.set(database="storm").render_as_string(hide_password=False)
    server = Server(tmp_path / "home", "--database", database)
    server.start()
    try:
        with Storm(server, chance) as storm:
            storm.wait_for_more(200)
            for _ in range(kills):
                time.sleep(chance.uniform(0.0, 1.0))
                if chance.random() < 0.3:
                    cluster.stop(signal.SIGQUIT)
                    time.sleep(chance.uniform(0.0, 1.0))
                    cluster.start()
                else:
                    kill_backend(admin, chance)
                storm.wait_for_more(20)
        storm.check(server)
        assert server.process is not None
        assert server.process.poll() is None
    finally:
        server.kill()
        admin.dispose()
    check_store(database, server.home)


def kill_backend(admin: Engine, chance: random.Random) -> None:
    """End a process of the database that serves ours: told to, or with all others when it dies like that."""
    with admin.connect() as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'penstock'"
        served = connection.exec_driver_sql(query).scalars().all()
    if served:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(list(served)), chance.choice((signal.SIGTERM, signal.SIGKILL)))


def wait_for_end(server: Server, timeout_s: float) -> None:
    """Wait until a fail-point has killed the server; not for ever, as it may never be passed."""
    assert server.process is not None
    try:
        assert server.process.wait(timeout_s) == -signal.SIGKILL
    except subprocess.TimeoutExpired:
        return

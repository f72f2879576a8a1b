"""Migrations on PostgreSQL: one server runs them, the others wait; what fails leaves the schema as it was."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, inspect, make_url

import postgres_cluster
from factories import TESTER
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.storage import migrations
from penstock.storage.database import Database
from storage.test_migrations import own_tables

pytestmark = pytest.mark.postgres


@pytest.fixture
def url() -> Iterator[str]:
    """Of a database without any table."""
    databases = postgres_cluster.databases()
    made = databases.create(template="template0")
    yield made
    databases.drop(made)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    opened = Database(url, actor=TESTER)
    yield opened
    opened.close()


def tables_of(db: Database) -> list[str]:
    return sorted(inspect(db.engine).get_table_names())


def test_the_migrated_schema_is_what_the_nouns_declare(db: Database) -> None:
    db.migrate()
    with db.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), own_tables())
    assert differences == []


def test_several_servers_that_open_a_new_database_at_once_all_get_in(url: str) -> None:
    refusals: list[Exception] = []
    start = threading.Barrier(5)

    def open_and_migrate() -> None:
        db = Database(url, actor=TESTER)
        start.wait()
        try:
            db.migrate()
            db.write(lambda tx: tx.now)
        except Exception as error:
            refusals.append(error)
        finally:
            db.close()

    threads = [threading.Thread(target=open_and_migrate) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refusals


def test_a_database_of_a_newer_penstock_is_refused_and_left_alone(db: Database) -> None:
    db.migrate()
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConflictError, match="9999") as refusal:
        db.migrate()
    assert "newer" in refusal.value.hint
    with db.snapshot() as tx:
        assert tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"


def test_a_migration_that_fails_leaves_the_schema_as_it_was(db: Database) -> None:
    @event.listens_for(db.engine, "before_cursor_execute")
    def fail(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if "alembic_version" in statement and "INSERT" in statement:
            raise RuntimeError("the end of the first migration")

    with pytest.raises(RuntimeError, match="the first migration"):
        db.migrate()
    assert tables_of(db) == []
    event.remove(db.engine, "before_cursor_execute", fail)
    db.migrate()
    with db.snapshot() as tx:
        version = tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    assert version == migrations.head()


def test_a_migration_that_is_killed_leaves_nothing_half_done(url: str, db: Database) -> None:
    program = (
        "import os, signal, sys\n"
        "from sqlalchemy import event\n"
        "from penstock.storage.database import Database\n"
        "db = Database(sys.argv[1])\n"
        "@event.listens_for(db.engine, 'before_cursor_execute')\n"
        "def die(conn, cursor, statement, parameters, context, executemany):\n"
        "    if statement.startswith('INSERT INTO alembic_version'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "db.migrate()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run([sys.executable, "-c", program, url], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert tables_of(db) == []
    db.migrate()
    assert "audit_events" in tables_of(db)


@pytest.mark.parametrize("setup", ["ENCODING 'SQL_ASCII' LOCALE 'C'"])
def test_a_database_that_would_not_keep_text_as_it_is_is_refused(url: str, setup: str) -> None:
    databases = postgres_cluster.databases()
    name = f"{make_url(url).database}_other"
    databases.execute(f"CREATE DATABASE {name} TEMPLATE template0 {setup}")
    other = make_url(url).set(database=name).render_as_string(hide_password=False)
    db = Database(other, actor=TESTER)
    try:
        with pytest.raises(InvalidInputError, match="SQL_ASCII") as refusal:
            db.migrate()
        assert "ENCODING 'UTF8'" in refusal.value.hint
        assert tables_of(db) == []
    finally:
        db.close()
        databases.drop(other)

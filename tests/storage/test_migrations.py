"""Migrations bring any older database up to date, all at once or not at all, and refuse a newer one."""

import importlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect

import penstock
from factories import TESTER
from penstock.core.errors import ConflictError
from penstock.registry.service import RegistryService
from penstock.registry.types import VersionStatus
from penstock.storage import migrations
from penstock.storage.columns import metadata
from penstock.storage.database import Database
from penstock.tracking.experiments import ExperimentService

pytestmark = pytest.mark.sqlite
SOURCE = Path(penstock.__file__).parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "penstock.db"


def open_at(path: Path) -> Database:
    return Database(f"sqlite:///{path}", actor=TESTER)


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    opened = open_at(path)
    yield opened
    opened.close()


def own_tables() -> MetaData:
    """The tables of every noun, without those that other tests have added to the shared metadata."""
    for file in SOURCE.rglob("*.py"):
        if "Table(" in file.read_text() and "migrations" not in file.parts:
            importlib.import_module(".".join(["penstock", *file.relative_to(SOURCE).with_suffix("").parts]))
    texts = [file.read_text() for file in SOURCE.rglob("*.py")]
    ours = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        if any(f'"{table.name}"' in text for text in texts):
            table.to_metadata(ours)
    return ours


@pytest.mark.filterwarnings("ignore:(Skipped unsupported reflection of|autogenerate skipping).*expression-based index")
def test_the_migrated_schema_is_what_the_nouns_declare(db: Database) -> None:
    db.migrate()
    with db.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), own_tables())
    assert differences == []


def test_a_new_file_gets_what_the_migrations_make_step_by_step(path: Path, db: Database, tmp_path: Path) -> None:
    """After a new migration: python scripts/write_new_schema.py."""
    db.migrate()
    _migrate_to(tmp_path / "by-step.db", "head")
    assert _contents(path) == _contents(tmp_path / "by-step.db")


def test_a_new_file_tells_when_it_was_made(path: Path, db: Database) -> None:
    begun = datetime.now(UTC) - timedelta(milliseconds=2)  # SQLite's clock counts milliseconds
    db.migrate()
    default = ExperimentService(db).get_experiment("Default")
    assert begun <= default.created_at == default.updated_at <= datetime.now(UTC)


def test_a_file_with_tables_of_others_keeps_them(path: Path, db: Database) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    db.migrate()
    assert {"theirs", "runs", "alembic_version"} <= set(inspect(db.engine).get_table_names())


def test_migrating_twice_changes_nothing(db: Database) -> None:
    db.migrate()
    before = inspect(db.engine).get_table_names()
    db.migrate()
    assert inspect(db.engine).get_table_names() == before


def test_the_database_says_which_schema_it_has(db: Database) -> None:
    db.migrate()
    with db.snapshot() as tx:
        version = tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    assert version == migrations.head()


def test_a_database_of_a_newer_penstock_is_refused_and_left_alone(db: Database) -> None:
    db.migrate()
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConflictError, match="9999") as refusal:
        db.migrate()
    assert "newer" in refusal.value.hint
    with db.snapshot() as tx:
        assert tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"


def test_several_who_migrate_a_new_file_at_once_all_succeed(path: Path) -> None:
    refusals: list[Exception] = []
    start = threading.Barrier(4)

    def migrate() -> None:
        db = open_at(path)
        start.wait()
        try:
            db.migrate()
        except Exception as error:
            refusals.append(error)
        finally:
            db.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refusals


def test_a_new_schema_whose_writing_is_killed_leaves_nothing_half_done(path: Path) -> None:
    _die_at("INSERT INTO alembic_version", path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)
    db = open_at(path)
    db.migrate()
    db.close()


def test_a_migration_that_is_killed_leaves_nothing_half_done(path: Path) -> None:
    _migrate_to(path, "0001")
    before = _contents(path)
    _die_at("UPDATE alembic_version SET version_num='0004'", path)
    assert _contents(path) == before
    db = open_at(path)
    db.migrate()
    db.close()


def _die_at(statement: str, path: Path) -> None:
    """Migrate a file in a process that is killed just before a statement."""
    program = (
        "import os, signal, sys\n"
        "from sqlalchemy import event\n"
        "from penstock.storage.database import Database\n"
        "db = Database(sys.argv[1])\n"
        "@event.listens_for(db.engine, 'before_cursor_execute')\n"
        "def die(conn, cursor, statement, parameters, context, executemany):\n"
        "    if statement.startswith(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "db.migrate()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    argv = [sys.executable, "-c", program, f"sqlite:///{path}", statement]
    assert subprocess.run(argv, env=environment, check=False).returncode == -signal.SIGKILL


def test_the_artifacts_of_runs_move_to_their_homes_with_what_they_keep(path: Path, db: Database) -> None:
    one, two, diff = ("1" * 64, "2" * 64, "d" * 64)
    with db.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (id, experiment_id, name, status, started_at, created_by, artifact_uri, source) "
            "VALUES ('r1', 0, 'r', 'running', 1, 'ada', '', ?)",
            (f'{{"git_dirty_diff":"{diff}"}}',),
        )
        rows = [("r1", "a", one), ("r1", "b/c", two), ("r1", "patch", diff)]
        connection.executemany("INSERT INTO artifacts VALUES (?, ?, ?, 5, 7)", rows)
        connection.executemany(
            "INSERT INTO object_references VALUES (?, ?, 7)", [("run:r1", digest) for *_, digest in rows]
        )
    db.migrate()
    with closing(sqlite3.connect(path)) as connection:
        moved = connection.execute("SELECT home, path, digest, size_bytes, created_at FROM artifacts ORDER BY path")
        assert moved.fetchall() == [(f"run:{run}", name, digest, 5, 7) for run, name, digest in rows]
        kept = connection.execute("SELECT owner, digest FROM object_references ORDER BY owner, digest").fetchall()
    assert kept == [*(("artifacts:run:r1", digest) for digest in (one, two, diff)), ("run:r1", diff)]


def test_the_registry_of_the_first_schema_is_kept_with_its_history(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        _migrate_to(path, "0001")
        connection.executescript(
            """
            INSERT INTO models VALUES ('churn', 2, 1000000, 'ada');
            INSERT INTO model_versions VALUES
                ('churn', 1, 'run-1', 't1', 'binary', 'sklearn', '{"inputs":[],"outputs":[]}', '[]', 'left', NULL,
                 NULL, 'archived', 1000000, 'ada'),
                ('churn', 2, 'run-2', 't2', 'binary', 'sklearn', '{"inputs":[],"outputs":[]}', '[]', 'left', NULL,
                 'r2', 'ready', 2000000, 'ada');
            INSERT INTO model_version_tags VALUES ('churn', 2, 'note', 'good');
            INSERT INTO model_aliases VALUES ('churn', 'champion', 2, 4000000, 'ada', 'better');
            INSERT INTO alias_moves VALUES
                ('churn', 'challenger', 1, 3000000, 'ada', 'new', NULL, 2),
                ('churn', 'champion', 1, 1500000, 'ada', 'first', NULL, 1),
                ('churn', 'champion', 2, 4000000, 'ada', 'better', 1, 2);
            """
        )
    db = open_at(path)
    db.migrate()
    registry = RegistryService(db)
    assert registry.resolve("models:/churn@champion").tags == {"note": "good"}
    assert registry.get_version("churn", 1).status is VersionStatus.ARCHIVED
    moves = registry.alias_history("churn")
    assert [(move.alias, move.before, move.after, move.number) for move in moves] == [
        ("champion", 1, 2, 3),
        ("challenger", None, 2, 2),
        ("champion", None, 1, 1),
    ]
    assert [move.evidence for move in moves] == [("report:r2",), ("report:r2",), ()]
    db.close()


def _contents(path: Path) -> dict[str, object]:
    """The schema of a file and its rows, but for the time it was made and the layout of its lines."""
    with closing(sqlite3.connect(path)) as connection:
        schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        tables = [name for kind, name, *_ in schema if kind == "table" and name != "sqlite_sequence"]
        rows = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
    return {
        "schema": sorted((*names, " ".join((sql or "").split())) for *names, sql in schema),
        "rows": {name: [tuple(map(_timeless, row)) for row in held] for name, held in rows.items()},
    }


def _timeless(value: object) -> object:
    return "a time" if isinstance(value, int) and value > 10**15 else value


def _migrate_to(path: Path, revision: str) -> None:
    """Bring an empty database to an older schema."""
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    db = open_at(path)
    with db.engine.connect().execution_options(penstock_begin="BEGIN IMMEDIATE") as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    db.close()

"""Schema migrations: the database is brought up to date when it is opened, and a newer one is refused.

A new SQLite file gets the schema whole, from `new/sqlite.sql`, which `scripts/write_new_schema.py` writes from what the
migrations make of an empty file: that takes a tenth of the time.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from penstock.core.errors import ConflictError
from penstock.storage.dialect import Dialect

FOLDER = Path(__file__).parent
SEPARATOR = ";\n\n"  # of the statements in a script


def head() -> str:
    """The newest revision this program knows: the number in front of its file's name."""
    return max(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def upgrade(dialect: Dialect) -> None:
    """Run the migrations that are missing, in one transaction; whoever else wants to waits for it.

    Raises:
        InvalidInputError: the database is not set up as penstock needs it.
        ConflictError: the database was written by a newer penstock.
    """
    with dialect.open_for_write() as connection, dialect.migrate(connection):
        current = read_version(connection)
        if current == head():
            return
        if current is not None and current > head():
            raise ConflictError(
                f"this database has schema {current}, and this penstock knows schemas up to {head()}",
                hint="use the penstock that wrote it, or a newer one",
            )
        whole = FOLDER / "new" / f"{connection.dialect.name}.sql"
        if whole.exists() and not inspect(connection).get_table_names():
            _run_script(connection, whole.read_text("utf-8"))
        else:
            _run_alembic(connection)


def _run_script(connection: Connection, script: str) -> None:
    for statement in script.split(SEPARATOR):
        connection.exec_driver_sql(statement)


def read_version(connection: Connection) -> str | None:
    """The revision a database is at; None for one that has no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _run_alembic(connection: Connection) -> None:
    from alembic import command  # imported only when there is something to migrate: it takes half a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

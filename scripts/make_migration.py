"""Write the next schema migration: what the nouns' tables have and the migrated schema lacks.

python scripts/make_migration.py "what changes"

When it is as it should be, `python scripts/write_new_schema.py` brings the schema of new files up to date.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

import penstock.catalogue.services  # every noun's tables join the metadata
import penstock.storage.commit_marks  # noqa: F401 - and that of writers on PostgreSQL
from penstock.storage import migrations
from penstock.storage.columns import metadata
from penstock.storage.database import Database


def main(message: str) -> None:
    """Compare an empty, migrated database with the tables, and write the difference."""
    _tell_postgres_too()
    number = f"{int(migrations.head()) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{Path(folder) / 'empty.db'}")
        db.migrate()
        with db.engine.connect() as connection, connection.begin():
            config = Config()
            config.set_main_option("script_location", str(migrations.FOLDER))
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            config.attributes["connection"] = connection
            command.revision(config, message, autogenerate=True, rev_id=number)
        db.close()


def _tell_postgres_too() -> None:
    """Partial indexes name SQLite alone (see `partial_index`); a migration names both."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if (where := index.dialect_options["sqlite"]["where"]) is not None:
                index.dialect_options["postgresql"]["where"] = where


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

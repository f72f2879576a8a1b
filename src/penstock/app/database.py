"""Opens the database of a configuration, with the ledger that sees every change of it."""

from sqlalchemy.exc import DatabaseError, OperationalError

from penstock.core.clock import Clock
from penstock.core.config import Config
from penstock.core.errors import CorruptDataError, StorageFullError, UnavailableError
from penstock.core.identity import Actor
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.ledger import Ledger
from penstock.storage.database import Database


def open_database(
    config: Config, *, clock: Clock | None = None, actor: Actor | None = None, checkpoint_every_s: float = 0.0
) -> tuple[Database, CheckpointLog]:
    """Open a database, made or brought up to date where that is needed, and the log of its checkpoints.

    Args:
        config: where it is.
        clock: where its moments come from.
        actor: who acts when a call names nobody.
        checkpoint_every_s: see `CheckpointLog`; whoever gives one flushes the log at the end.

    Raises:
        ConflictError: the database was written by a newer penstock.
        InvalidInputError: the configuration names none that can be opened.
        CorruptDataError: the database is damaged, or is none.
        UnavailableError: the database cannot be opened just now.
    """
    config.home.mkdir(parents=True, exist_ok=True)
    db = Database(config.database_url, clock=clock, actor=actor)
    try:
        _migrate(db)
        checkpoints = CheckpointLog(config.home / "audit", every_s=checkpoint_every_s)
        Ledger(db, checkpoints)
    except BaseException:
        db.close()
        raise
    return db, checkpoints


def _migrate(db: Database) -> None:
    name = db.engine.url.render_as_string(hide_password=True)
    try:
        db.migrate()
    except OperationalError as error:
        if "full" in str(error.orig):
            raise StorageFullError(f"there is no room left for the database {name}", hint="free some space") from error
        raise UnavailableError(f"the database {name} cannot be opened: {error.orig}") from error
    except DatabaseError as error:
        raise CorruptDataError(
            f"the database {name} cannot be read: {error.orig}", hint="bring back a copy of it that is whole"
        ) from error

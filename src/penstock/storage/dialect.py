"""Where the database engines differ: how a connection is made, and how a transaction begins, ends and fails."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from sqlalchemy import Connection, Engine, Table

from penstock.core.errors import PenstockError

if TYPE_CHECKING:  # an engine that is not used takes longer to import than a small command to run
    from sqlalchemy.dialects import postgresql, sqlite

PATIENCE_S = 30  # another process's write is waited for, not reported
Upsert: TypeAlias = "sqlite.Insert | postgresql.Insert"  # two classes with the same methods


class Dialect(Protocol):
    """One database engine.

    Writers of several processes take turns: a transaction that was begun here holds the whole database's write lock
    from its first statement to its commit, so a verb that reads and then writes sees nobody in between.
    """

    engine: Engine
    is_remote: bool  # whether every write waits for a network

    def insert(self, table: Table) -> Upsert:
        """The engine's own INSERT, which knows ON CONFLICT."""
        ...

    def open_for_read(self) -> Connection:
        """A connection whose transactions see one moment of the database."""
        ...

    def open_for_write(self, *, waits: bool = True) -> Connection:
        """A connection for `write` or `migrate`.

        Args:
            waits: whether its transactions wait while another process writes, or fail at once; a remote one waits.
        """
        ...

    def write(self, connection: Connection) -> AbstractContextManager[object]:
        """A transaction that holds the write lock, and commits unless an error leaves it.

        Raises:
            OutcomeUnknownError: the connection broke during the commit, and nobody could be asked what became of it.
        """
        ...

    def migrate(self, connection: Connection) -> AbstractContextManager[object]:
        """The same for a change of the schema, which may take its time.

        Raises:
            InvalidInputError: the database is not set up as penstock needs it.
        """
        ...

    def is_unreachable(self, error: Exception) -> bool:
        """Whether this error says that the database is away, so that no other write can succeed just now."""
        ...

    def explain(self, error: Exception) -> PenstockError | None:
        """The engine's own failure in the words of this project; None for any other error."""
        ...

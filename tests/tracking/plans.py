"""Reads how the database means to answer queries."""

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import event

from penstock.storage.database import Database
from penstock.storage.transaction import Transaction

Query = tuple[str, Any]


@contextlib.contextmanager
def watch(db: Database) -> Iterator[list[Query]]:
    """Every SELECT that runs within the block, with its values."""
    seen: list[Query] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def find_scans(db: Database, queries: list[Query]) -> list[str]:
    """The steps of these queries that read a whole table."""
    found = []
    with db.snapshot() as tx:
        if db.engine.dialect.name == "postgresql":
            return _find_sequential(tx, queries)
        for statement, parameters in queries:
            for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                if row[3].startswith("SCAN ") and row[3] != "SCAN CONSTANT ROW":
                    found.append(f"{row[3]}: {statement}")
    return found


def _find_sequential(tx: Transaction, queries: list[Query]) -> list[str]:
    """On small tables PostgreSQL reads all by choice; told not to, it does only where no index would help."""
    tx.connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    found = []
    for statement, parameters in queries:
        plan = tx.connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
        found.extend(f"{step.strip()}: {statement}" for step in plan if "Seq Scan" in step)
    return found

"""What a writer leaves behind with each commit, so that it can find out about a commit whose answer was lost.

Only databases that are reached over a connection need it; in SQLite the table stays empty.
"""

from sqlalchemy import BigInteger, Column, String, Table

from penstock.storage.columns import UtcTime, metadata

commit_marks = Table(
    "commit_marks",
    metadata,
    Column("writer", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),  # of the writer's last group that was committed
    Column("at", UtcTime, nullable=False),
)

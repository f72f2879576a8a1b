"""What a source gives, and where it came from."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct

SourceKind = Literal["files", "query", "http", "bucket", "delta"]
Watermark = int | float | str  # times as ISO text
PART_NAME = "part-{:06}.parquet"  # what each ingestion of a query adds


class Provenance(Struct, frozen=True, kw_only=True):
    """Where the rows of a version came from, and how; without secrets."""

    kind: SourceKind
    place: str  # the path, URL or query as it was asked
    connection: str = ""  # the database, without user and password
    fetched_at: datetime
    rows: int | None = None  # that were fetched this time; None where nobody counted
    etag: str = ""  # what the server calls this state of its file
    modified: str = ""  # when the server says that it changed
    sha256: str = ""
    table_version: int | None = None  # of a Delta table
    watermark: Watermark | None = None  # the greatest value of the column by which rows are fetched bit by bit


class Fetched(Struct, frozen=True):
    """The files of a source, by the path each has in the tree of a version, and where they came from.
    They may be gone when whoever fetched them is done.
    """

    files: Mapping[str, Path]
    provenance: Provenance
    is_unchanged: bool = False  # the source says that it is what it was; then there are no files

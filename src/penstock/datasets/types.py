"""The records of datasets: versions with their schema and profile, and what their checks found."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest, Ref
from penstock.core.project.types import CheckAction, ColumnType

ColumnKind = ColumnType | Literal["other", "unknown"]  # unknown: no row has a value
Value = bool | int | float | str | None  # one cell; dates and times as ISO text, lists as JSON
SourceKind = Literal["files", "query", "http", "bucket", "delta"]
Watermark = int | float | str  # times as ISO text


class Column(Struct, frozen=True):
    """One column of a table."""

    name: str
    kind: ColumnKind
    dtype: str  # as polars names it
    nullable: bool  # whether any row lacks a value


class Schema(Struct, frozen=True):
    """The columns of a table, in order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def find(self, name: str) -> Column | None:
        """A column by its name."""
        return next((column for column in self.columns if column.name == name), None)


class TopValue(Struct, frozen=True):
    """A value and how many rows have it."""

    value: Value
    rows: int


class ColumnProfile(Struct, frozen=True, kw_only=True):
    """What the values of one column look like; what does not apply to its kind is None."""

    name: str
    kind: ColumnKind
    nulls: int
    distinct: int | None = None  # estimated where a large table has very many
    minimum: Value = None
    maximum: Value = None
    mean: float | None = None
    std: float | None = None
    top: tuple[TopValue, ...] = ()  # the most frequent values, most frequent first
    quantiles: tuple[float, ...] = ()  # smallest, 1st to 99th percentile, largest; times as seconds since 1970


class Profile(Struct, frozen=True):
    """What a table looks like."""

    rows: int
    columns: tuple[ColumnProfile, ...]

    def find(self, name: str) -> ColumnProfile | None:
        """A column's profile by its name."""
        return next((column for column in self.columns if column.name == name), None)


class Bar(Struct, frozen=True):
    """A value or a range of values, with the share of rows that have it."""

    label: str
    before: float
    after: float


class Spread(Struct, frozen=True):
    """The bars of a column; their shares add up to those of the rows that have a value."""

    bars: tuple[Bar, ...]
    is_ranges: bool  # of numbers or times, in order; else single values


class DataFile(Struct, frozen=True):
    """One file of a version; the rows of a version are the rows of its files, one after the other."""

    path: str  # in the version's tree
    digest: Digest
    size: int  # bytes
    rows: int
    quarantined: int = 0  # rows of the source's file that were kept out; what is left counts from 1 again


class Roles(Struct, frozen=True):
    """Which columns have a part to play; several columns of a key stand with commas between them."""

    time: str | None = None
    key: str | None = None
    label: str | None = None


class Sample(Struct, frozen=True):
    """One row that breaks a check."""

    file: str
    row: int  # within its file; the first row of data is 1
    value: Value


class CheckResult(Struct, frozen=True, kw_only=True):
    """What one check found."""

    name: str  # such as `amount between` or `order_id unique`
    column: str | None
    action: CheckAction
    passed: bool
    message: str
    rows: int = 0  # that were looked at
    failed: int = 0  # of these
    samples: tuple[Sample, ...] = ()

    @property
    def share(self) -> float:
        """Failed rows as a share of all."""
        return self.failed / self.rows if self.rows else 0.0

    @property
    def blocks(self) -> bool:
        """Whether this keeps the data out."""
        return not self.passed and self.action == "block"


class Quarantine(Struct, frozen=True, kw_only=True):
    """Rows that checks kept out of a version: the tree has them file by file, and `reasons.jsonl` says why."""

    tree: Digest
    rows: int


class CheckReport(Struct, frozen=True, kw_only=True):
    """All checks of one set of files."""

    passed: bool  # nothing blocks; warnings may remain
    tree: Digest  # the files that were checked
    rows: int
    results: tuple[CheckResult, ...]
    dataset: str = ""
    version: int | None = None  # the version these checks let in; None when they kept the data out
    number: int = 0  # of this report among those of its dataset
    created_at: datetime | None = None  # when it was recorded
    quarantine: Quarantine | None = None  # what was kept out while the other rows were let in

    @property
    def ref(self) -> Ref:
        """What lineage calls it, once it is recorded."""
        return Ref("check-report", f"{self.dataset}/{self.number}")

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """What did not hold, the blocking ones first."""
        return tuple(sorted((r for r in self.results if not r.passed), key=lambda result: not result.blocks))


class DatasetChecksError(InvalidInputError):
    """Data that a blocking check keeps out.

    Attributes:
        report: all that the checks found.
    """

    def __init__(self, report: CheckReport) -> None:
        blocking = [result for result in report.failures if result.blocks]
        told = "; ".join(result.message for result in blocking[:3])
        more = f"; and {len(blocking) - 3} more" if len(blocking) > 3 else ""
        count = "1 check keeps" if len(blocking) == 1 else f"{len(blocking)} checks keep"
        super().__init__(
            f"{count} these {report.rows:,} rows out: {told}{more}",
            hint="mend the rows, or change the check in penstock.toml",
        )
        self.report = report


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


class DatasetDraft(Struct, frozen=True, kw_only=True):
    """Files that were read, checked and stored, and may become a version."""

    source: str
    tree: Digest
    roles: Roles
    schema: Schema
    profile: Profile
    files: tuple[DataFile, ...]
    report: CheckReport
    provenance: Provenance | None = None
    time_start: datetime | None = None
    time_end: datetime | None = None


class FilesDraft(Struct, frozen=True, kw_only=True):
    """Files of any kind that were stored, and may become a version; nothing is known of what is in them."""

    source: str
    tree: Digest
    files: int
    size: int  # bytes


class DatasetVersion(Struct, frozen=True, kw_only=True):
    """The state of a dataset at one moment, which never changes."""

    dataset: str
    version: int  # 1, 2, 3 ...
    source: str
    tree: Digest
    roles: Roles
    schema: Schema
    profile: Profile
    files: tuple[DataFile, ...]  # those of a table; other files are only in the tree
    file_count: int = 0
    rows: int
    size: int  # bytes of the files
    time_start: datetime | None = None  # of the time column, when there is one
    time_end: datetime | None = None
    provenance: Provenance | None = None  # where the rows came from, and how; of files: None
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> Ref:
        """What lineage and audit call it."""
        return Ref("dataset-version", f"{self.dataset}/{self.version}")


class VersionSummary(Struct, frozen=True, kw_only=True):
    """A version without its schema, profile and files."""

    dataset: str
    version: int
    source: str
    tree: Digest
    file_count: int = 0
    rows: int
    size: int
    time_start: datetime | None = None
    time_end: datetime | None = None
    created_at: datetime
    created_by: str


class Dataset(Struct, frozen=True, kw_only=True):
    """A name under which versions are recorded."""

    name: str
    versions: int
    latest: VersionSummary


class SchemaChange(Struct, frozen=True):
    """One difference between two schemas."""

    column: str
    change: Literal["added", "removed", "retyped"]
    before: ColumnKind | None
    after: ColumnKind | None

    def __str__(self) -> str:
        if self.change == "retyped":
            return f"{self.column} was {self.before} and is {self.after}"
        return f"{self.column} ({self.after or self.before}) was {self.change}"

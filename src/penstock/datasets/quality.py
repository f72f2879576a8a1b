"""Quality over time: what the checks found of each version, and what its columns were like."""

import re
from datetime import datetime

from msgspec import Struct

from penstock.core.project.types import CheckAction
from penstock.datasets.types import CheckReport, ColumnKind, ColumnProfile, DatasetVersion

_LOW, _MIDDLE, _HIGH = 5, 50, 95
_LIKE_BEFORE = re.compile(r" like version \d+$")


class FailedCheck(Struct, frozen=True, kw_only=True):
    """A check that did not hold."""

    name: str
    action: CheckAction
    share: float  # of the rows
    message: str


class ColumnQuality(Struct, frozen=True, kw_only=True):
    """One column of one version."""

    name: str
    kind: ColumnKind
    missing: float  # share of the rows
    distinct: int | None
    mean: float | None
    low: float | None  # the 5th percentile; times as seconds since 1970
    middle: float | None  # the median
    high: float | None  # the 95th percentile


class QualityPoint(Struct, frozen=True, kw_only=True):
    """One report of checks, with the version that it let in."""

    report: int
    version: int | None  # None: kept out
    at: datetime
    rows: int  # that were looked at
    quarantined: int
    checks: tuple[str, ...]  # all that were made
    failed: tuple[FailedCheck, ...]
    columns: tuple[ColumnQuality, ...] = ()  # of the version; none where the rows were kept out


def to_point(report: CheckReport, version: DatasetVersion | None) -> QualityPoint:
    """A report and its version as a point in time."""
    assert report.created_at is not None
    rows = version.rows if version is not None else 0
    columns = version.profile.columns if version is not None else ()
    return QualityPoint(
        report=report.number,
        version=report.version,
        at=report.created_at,
        rows=report.rows,
        quarantined=report.quarantine.rows if report.quarantine is not None else 0,
        checks=tuple(dict.fromkeys(_name(result.name) for result in report.results)),
        failed=tuple(
            FailedCheck(name=_name(result.name), action=result.action, share=result.share, message=result.message)
            for result in report.failures
        ),
        columns=tuple(_to_quality(column, rows) for column in columns),
    )


def _name(name: str) -> str:
    """What a check is called in every report: each compares with another version."""
    return _LIKE_BEFORE.sub(" like the version before", name)


def _to_quality(column: ColumnProfile, rows: int) -> ColumnQuality:
    grid = column.quantiles
    low, middle, high = (grid[_LOW], grid[_MIDDLE], grid[_HIGH]) if grid else (None, None, None)
    return ColumnQuality(
        name=column.name,
        kind=column.kind,
        missing=column.nulls / rows if rows else 0.0,
        distinct=column.distinct,
        mean=column.mean,
        low=low,
        middle=middle,
        high=high,
    )

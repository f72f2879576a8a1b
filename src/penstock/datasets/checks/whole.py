"""Checks of a table as a whole: its columns, how many rows, how old, how far its values moved."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import polars as pl

from penstock.core.clock import format_duration
from penstock.core.codec import nearest_hint
from penstock.core.errors import NotFoundError
from penstock.core.project.types import CheckSection, DataSection, DistributionBounds
from penstock.datasets.checks.findings import verdict
from penstock.datasets.checks.past import FindReference
from penstock.datasets.frames.table import Batch
from penstock.datasets.frames.values import time_range, times_of
from penstock.datasets.profile.compare import compare_columns
from penstock.datasets.schema import breaks_readers, compare_schemas
from penstock.datasets.types import CheckResult, DatasetVersion, Profile, Schema

_LEAST_SHARE = 0.5  # of the rows of the version before; fewer are reported


def check_named_columns(check: CheckSection, columns: Sequence[str]) -> Iterator[CheckResult]:
    """The columns that have to be there, must not, or are the only ones."""
    wanted = check.required_columns or ()
    yield from _about_columns(
        "required_columns",
        check,
        [name for name in wanted if name not in columns],
        lambda name: f"the column {name!r} is not there; {nearest_hint(name, columns)}",
        f"all of {', '.join(wanted)} are there",
    )
    unwanted = check.forbidden_columns or ()
    yield from _about_columns(
        "forbidden_columns",
        check,
        [name for name in unwanted if name in columns],
        lambda name: f"the column {name!r} must not be there",
        f"none of {', '.join(unwanted)} is there",
    )
    known = check.only_columns or ()
    yield from _about_columns(
        "only_columns",
        check,
        [name for name in columns if name not in known],
        lambda name: f"the column {name!r} is none of those there may be",
        "there are no other columns",
    )


def _about_columns(
    rule: str, check: CheckSection, odd: Sequence[str], tell: Callable[[str], str], fine: str
) -> Iterator[CheckResult]:
    if getattr(check, rule) is None:
        return
    for name in odd:
        yield verdict(rule, name, check.action, tell(name))
    if not odd:
        yield CheckResult(name=rule, column=None, action=check.action, passed=True, message=fine)


def compare_with_previous(schema: Schema, rows: int, previous: DatasetVersion) -> Iterator[CheckResult]:
    """Whether a table has the columns and about the number of rows of the version before."""
    name = f"schema like version {previous.version}"
    changes = compare_schemas(previous.schema, schema)
    for change in changes:
        yield verdict(name, change.column, "block" if breaks_readers(change) else "warn", f"column {change}")
    if not changes:
        yield CheckResult(name=name, column=None, action="block", passed=True, message="the schema is the same")
    share = rows / previous.rows if previous.rows else 1.0
    told = f"{rows:,} rows, and version {previous.version} has {previous.rows:,}"
    name = f"volume like version {previous.version}"
    yield CheckResult(name=name, column=None, action="warn", passed=share >= _LEAST_SHARE, message=told)


def check_volume(check: CheckSection, rows: int, previous: DatasetVersion | None) -> Iterator[CheckResult]:
    """How many rows there are, by themselves and beside the version before."""
    bounds = check.volume
    if bounds is None:
        return
    low, high = bounds.at_least, bounds.at_most
    if low is not None or high is not None:
        passed = (low is None or rows >= low) and (high is None or rows <= high)
        told = " and ".join(f"at {word} {end:,}" for word, end in (("least", low), ("most", high)) if end is not None)
        told = f"there must be {told} rows and there are {rows:,}"
        yield CheckResult(name="volume", column=None, action=check.action, passed=passed, message=told)
    if previous is not None and previous.rows:
        yield from _check_change(check, rows / previous.rows - 1, rows, previous)


def _check_change(check: CheckSection, change: float, rows: int, previous: DatasetVersion) -> Iterator[CheckResult]:
    assert check.volume is not None
    for word, limit, moved in (("shrink", check.volume.shrinks_by, -change), ("grow", check.volume.grows_by, change)):
        if limit is None:
            continue
        told = (
            f"the rows may {word} by {limit:.2%} at most, and {rows:,} are {change:+.2%} of the {previous.rows:,} of "
        )
        told += f"version {previous.version}"
        passed = moved <= limit
        yield CheckResult(name=f"volume {word}s_by", column=None, action=check.action, passed=passed, message=told)


def check_distribution(
    check: CheckSection, column: str, bounds: DistributionBounds, profile: Profile, find: FindReference
) -> CheckResult:
    """Whether the values of a column are spread as in a version before."""
    name = f"{column} distribution"
    try:
        found = find(None if bounds.like == "previous" else bounds.like)
    except NotFoundError as error:
        return verdict(name, column, check.action, f"{column} cannot be compared: {error.message}")
    if found is None:
        told = f"{column} is compared from the next version on"
        return CheckResult(name=name, column=column, action=check.action, passed=True, message=told)
    number, reference = found
    before, after = reference.find(column), profile.find(column)
    if before is None or after is None:
        return verdict(name, column, check.action, f"version {number} has no column {column!r} to compare with")
    shift = compare_columns(before, after, (reference.rows, profile.rows), alpha=bounds.alpha)
    told = f"{column} is {shift.distance:.3f} away from version {number}, and {bounds.at_most:g} is allowed"
    if shift.is_chance and shift.distance > bounds.at_most:
        told += f"; with so few rows chance alone moves it as far (level {bounds.alpha:g})"
    elif shift.tests:
        test = min(shift.tests, key=lambda one: one.p_value)
        told += f" ({test.method} {test.statistic:.4g}, critical {test.critical_value:.4g} at level {test.alpha:g})"
    passed = shift.is_chance or shift.distance <= bounds.at_most
    return CheckResult(name=name, column=column, action=check.action, passed=passed, message=told)


class TimeSpan:
    """The first and last moment of a column, batch by batch; none where its values are no times."""

    def __init__(self, column: str) -> None:
        self.columns = (column,)
        self._ends: list[pl.Series] = []
        self._are_times = True

    def add(self, batch: Batch) -> None:
        """Look at the next rows."""
        values = batch.frame.get_column(self.columns[0])
        if values.null_count() == len(values) or not self._are_times:
            return
        if isinstance(values.dtype, pl.String):
            times = times_of(values)
            self._are_times = times is not None
            values = values.head(0) if times is None else times
        if values.dtype.is_temporal() or values.dtype.is_integer():
            self._ends.append(pl.Series([values.min(), values.max()], dtype=values.dtype))

    @property
    def span(self) -> tuple[datetime | None, datetime | None]:
        """The first and last moment."""
        return time_range(pl.concat(self._ends)) if self._ends and self._are_times else (None, None)


def check_age(check: CheckSection, column: str, newest: datetime | None, now: datetime) -> CheckResult:
    """Whether the newest value of a column is recent enough."""
    assert check.max_age is not None
    name = f"{column} max_age"
    if newest is None:
        return verdict(name, column, check.action, f"the age of {column} is not known, as its values are no times")
    age = now.astimezone(UTC) - newest
    told = f"the newest {column} must be no older than {format_duration(check.max_age)}"
    if age > check.max_age:
        told += f" and is {format_duration(age)} old ({newest.isoformat()})"
    return CheckResult(name=name, column=column, action=check.action, passed=age <= check.max_age, message=told)


def declared_columns(section: DataSection) -> Iterator[tuple[str, str]]:
    """The columns that a section gives a part, with that part."""
    for role, name in (("time", section.time), ("key", section.key), ("label", section.label)):
        if name is not None:
            yield role, name
    for name in section.sensitive:
        yield "sensitive", name

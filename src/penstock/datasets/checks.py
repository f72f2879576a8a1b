"""Checks of a table: the ones a project declares, and the ones that follow from its section and its last version."""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl

from penstock.core.clock import format_duration
from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest
from penstock.core.project.types import CheckAction, CheckSection, DataSection
from penstock.datasets.frames import SourceTable, time_range, to_value
from penstock.datasets.profile import shorten
from penstock.datasets.rules import ROW_RULES, describe, key_columns, lacks_value, repeats
from penstock.datasets.schema import breaks_readers, compare_schemas, infer_schema
from penstock.datasets.types import CheckReport, CheckResult, DatasetVersion, Sample

SAMPLES = 5  # offending rows that a result names
_LEAST_SHARE = 0.5  # of the rows of the version before; fewer are reported


def run_checks(
    table: SourceTable, section: DataSection, *, tree: Digest, previous: DatasetVersion | None, now: datetime
) -> CheckReport:
    """Run every check of a section.

    Args:
        table: the rows, with the files they came from.
        section: names the columns and the checks.
        tree: the stored files, for the report.
        previous: the version before, whose schema must still hold; None for the first.
        now: what `max_age` is measured against.
    """
    results = (*_run_inferred(table, section, previous), *_run_declared(table, section, now))
    passed = not any(result.blocks for result in results)
    return CheckReport(passed=passed, tree=tree, rows=table.frame.height, results=results)


def _run_inferred(table: SourceTable, section: DataSection, previous: DatasetVersion | None) -> Iterator[CheckResult]:
    columns = table.frame.columns
    if not table.frame.height:
        yield _verdict("rows", None, "block", "there are no rows")
    for role, name in _declared_columns(section):
        for column in key_columns(name, columns):
            if column not in columns:
                hint = nearest_hint(column, columns)
                yield _verdict(
                    f"{role} {column}", column, "block", f"the {role} column {column!r} is not there; {hint}"
                )
    yield from _check_key(table, section)
    if section.time in columns:
        missing = lacks_value(table.frame.get_column(section.time))
        yield _judge(table, "time not_null", section.time, "block", missing, f"the time {section.time} must be given")
    if previous is not None:
        yield from _compare(table, previous)


def _declared_columns(section: DataSection) -> Iterator[tuple[str, str]]:
    for role, name in (("time", section.time), ("key", section.key), ("label", section.label)):
        if name is not None:
            yield role, name
    for name in section.sensitive:
        yield "sensitive", name


def _check_key(table: SourceTable, section: DataSection) -> Iterator[CheckResult]:
    frame = table.frame
    columns = key_columns(section.key, frame.columns) if section.key else []
    if not columns or not set(columns) <= set(frame.columns):
        return
    missing = frame.select(pl.any_horizontal(lacks_value(frame.get_column(name)) for name in columns)).to_series()
    yield _judge(table, "key not_null", section.key, "block", missing, f"the key {section.key} must be given")
    doubled = repeats(frame, columns)
    yield _judge(table, "key unique", section.key, "block", doubled, f"the key {section.key} must be unique")


def _compare(table: SourceTable, previous: DatasetVersion) -> Iterator[CheckResult]:
    name = f"schema like version {previous.version}"
    changes = compare_schemas(previous.schema, infer_schema(table.frame))
    for change in changes:
        yield _verdict(name, change.column, "block" if breaks_readers(change) else "warn", f"column {change}")
    if not changes:
        yield CheckResult(name=name, column=None, action="block", passed=True, message="the schema is the same")
    share = table.frame.height / previous.rows if previous.rows else 1.0
    told = f"{table.frame.height:,} rows, and version {previous.version} has {previous.rows:,}"
    name = f"volume like version {previous.version}"
    yield CheckResult(name=name, column=None, action="warn", passed=share >= _LEAST_SHARE, message=told)


def _run_declared(table: SourceTable, section: DataSection, now: datetime) -> Iterator[CheckResult]:
    for check in section.checks:
        if check.volume is not None:
            yield _check_volume(table, check)
        if check.column is None:
            continue
        absent = [name for name in key_columns(check.column, table.frame.columns) if name not in table.frame.columns]
        if absent:
            told = f"the column {absent[0]!r} is not there; {nearest_hint(absent[0], table.frame.columns)}"
            yield _verdict(f"{check.column} exists", check.column, check.action, told)
            continue
        yield from _run_rules(table, check.column, check)
        if check.max_age is not None:
            yield _check_age(table, check.column, check, section, now)


def _run_rules(table: SourceTable, column: str, check: CheckSection) -> Iterator[CheckResult]:
    for rule, find in ROW_RULES.items():
        if getattr(check, rule) in (None, False):
            continue
        name, told = f"{column} {rule}", describe(rule, column, check)
        try:
            bad = find(table.frame, column, check)
        except InvalidInputError as error:  # the check does not suit the column; that is a finding, not a crash
            yield _verdict(name, column, check.action, error.message)
        else:
            yield _judge(table, name, column, check.action, bad, told)


def _check_volume(table: SourceTable, check: CheckSection) -> CheckResult:
    assert check.volume is not None
    rows, low, high = table.frame.height, check.volume.at_least, check.volume.at_most
    passed = (low is None or rows >= low) and (high is None or rows <= high)
    bounds = " and ".join(
        f"at {word} {bound:,}" for word, bound in (("least", low), ("most", high)) if bound is not None
    )
    told = f"there must be {bounds} rows and there are {rows:,}"
    return CheckResult(name="volume", column=None, action=check.action, passed=passed, message=told)


def _check_age(
    table: SourceTable, column: str, check: CheckSection, section: DataSection, now: datetime
) -> CheckResult:
    assert check.max_age is not None
    name, newest = f"{column} max_age", time_range(table.frame.get_column(column))[1]
    if newest is None:
        return _verdict(name, column, check.action, f"the age of {column} is not known, as its values are no times")
    age = now.astimezone(UTC) - newest
    told = f"the newest {column} must be no older than {format_duration(check.max_age)}"
    if age > check.max_age:
        told += f" and is {format_duration(age)} old ({newest.isoformat()})"
    return CheckResult(name=name, column=column, action=check.action, passed=age <= check.max_age, message=told)


def _verdict(name: str, column: str | None, action: CheckAction, message: str, *, passed: bool = False) -> CheckResult:
    return CheckResult(name=name, column=column, action=action, passed=passed, message=message)


def _judge(
    table: SourceTable, name: str, column: str | None, action: CheckAction, bad: pl.Series, told: str
) -> CheckResult:
    """A result from the rows that break a rule."""
    failed, rows = int(bad.sum()), table.frame.height
    samples = _name_rows(table, column, bad) if failed else ()
    if failed:
        first = "; ".join(f"row {s.row} of {s.file}: {s.value!r}" for s in samples[:3])
        told += f", and {failed:,} of {rows:,} rows ({failed / rows:.2%}) break this: {first}"
    return CheckResult(
        name=name,
        column=column,
        action=action,
        passed=not failed,
        message=told,
        rows=rows,
        failed=failed,
        samples=samples,
    )


def _name_rows(table: SourceTable, column: str | None, bad: pl.Series) -> tuple[Sample, ...]:
    columns = key_columns(column or "", table.frame.columns)
    samples = []
    for row in bad.arg_true().head(SAMPLES).to_list():
        cells = [to_value(table.frame.item(row, name)) for name in columns]
        file, number = table.locate(row)
        samples.append(Sample(file, number, shorten(cells[0] if len(cells) == 1 else to_value(cells))))
    return tuple(samples)

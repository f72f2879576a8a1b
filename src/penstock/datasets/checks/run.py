"""All checks of a table in one pass: those a project declares, and those that follow from its section and its past."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import polars as pl
from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets.checks.expressions import parse_expression, rows_against
from penstock.datasets.checks.findings import RowCheck, RowOf, Subject, verdict
from penstock.datasets.checks.keys import References, Unique
from penstock.datasets.checks.marks import RowMarks
from penstock.datasets.checks.past import Past
from penstock.datasets.checks.rows import EachRow, Order
from penstock.datasets.checks.rules import ROW_RULES, describe, key_columns, lacks_value
from penstock.datasets.checks.whole import (
    TimeSpan,
    check_age,
    check_distribution,
    check_named_columns,
    check_volume,
    compare_with_previous,
    declared_columns,
)
from penstock.datasets.frames.table import Gatherer, Table, sweep
from penstock.datasets.profile import ProfileGatherer
from penstock.datasets.schema import schema_of
from penstock.datasets.types import CheckReport, CheckResult, Profile, Schema


class Checked(Struct, frozen=True, kw_only=True):
    """What one pass over a table found.

    Attributes:
        report: the result of every check.
        schema: the columns.
        profile: what they look like.
        rows: how many rows each file has, by its path.
        marks: the checks that put rows aside, with the rows that break them.
        span: the first and last moment of the section's time column.
    """

    report: CheckReport
    schema: Schema
    profile: Profile
    rows: dict[str, int]
    marks: tuple[tuple[str, RowMarks], ...]
    span: tuple[datetime | None, datetime | None]


def run_checks(
    table: Table,
    section: DataSection,
    *,
    tree: Digest,
    now: datetime,
    past: Past | None = None,
    row_of: RowOf | None = None,
) -> Checked:
    """Run every check of a section, and profile the table, in one pass over its rows.

    Args:
        table: the rows, with the files they came from.
        section: names the columns and the checks.
        tree: the stored files, for the report.
        now: what `max_age` is measured against.
        past: what the table is compared with.
        row_of: the number that a row of a file has in the report; None: its place there, from 1.

    Raises:
        InvalidInputError: a file cannot be read as what its name says.
    """
    return _Run(table, section, now, past or Past(), row_of).go(tree)


class _Run:
    def __init__(self, table: Table, section: DataSection, now: datetime, past: Past, row_of: RowOf | None) -> None:
        self._table = table
        self._section = section
        self._now = now
        self._past = past
        self._row_of = row_of
        self._rows: dict[str, int] = {}
        self._profiler = ProfileGatherer(table)
        self._profile = Profile(0, ())
        self._spans: dict[str, TimeSpan] = {}
        # In the order of the report: a result that is known, a check of rows, or what is told after the last row.
        self._plan: list[CheckResult | RowCheck | Callable[[], Iterator[CheckResult]]] = []

    def go(self, tree: Digest) -> Checked:
        self._plan_inferred()
        for check in self._section.checks:
            self._plan_declared(check)
        row_checks = [step for step in self._plan if isinstance(step, (EachRow, Order, Unique, References))]
        gatherers: list[Gatherer] = [self._profiler, *row_checks, *self._spans.values()]
        self._rows = sweep(self._table, gatherers)
        self._profile = self._profiler.profile()
        for each in row_checks:
            each.finish()
        results = tuple(result for step in self._plan for result in self._tell(step))
        passed = not any(result.blocks for result in results)
        span = self._spans[self._section.time].span if self._section.time in self._spans else (None, None)
        return Checked(
            report=CheckReport(passed=passed, tree=tree, rows=self._profile.rows, results=results),
            schema=self._schema(),
            profile=self._profile,
            rows=self._rows,
            marks=tuple(_marked(row_checks, self._rows)),
            span=span,
        )

    def _tell(self, step: "CheckResult | RowCheck | Callable[[], Iterator[CheckResult]]") -> Iterator[CheckResult]:
        if isinstance(step, CheckResult):
            yield step
        elif callable(step):
            yield from step()
        else:
            yield step.findings.tell(step.subject, self._rows, self._row_of)

    def _schema(self) -> Schema:
        return schema_of(self._table.schema, [column.nulls for column in self._profile.columns], self._profile.rows)

    # What follows from the section itself, and from the version before.

    def _plan_inferred(self) -> None:
        columns = self._table.columns
        self._plan.append(self._check_rows)
        for role, name in declared_columns(self._section):
            for column in key_columns(name, columns):
                if column not in columns:
                    told = f"the {role} column {column!r} is not there; {nearest_hint(column, columns)}"
                    self._plan.append(verdict(f"{role} {column}", column, "block", told))
        self._plan_key()
        time = self._section.time
        if time in columns:
            subject = Subject(name="time not_null", column=time, columns=(time,), told=f"the time {time} must be given")
            self._plan.append(EachRow(subject, _lacks_any((time,)), keeps_rows=False))
            self._span_of(time)
        if self._past.previous is not None:
            self._plan.append(self._compare)

    def _check_rows(self) -> Iterator[CheckResult]:
        if not self._profile.rows:
            yield verdict("rows", None, "block", "there are no rows")

    def _compare(self) -> Iterator[CheckResult]:
        if self._past.previous is not None:
            yield from compare_with_previous(self._schema(), self._profile.rows, self._past.previous)

    def _plan_key(self) -> None:
        key = self._section.key
        columns = tuple(key_columns(key, self._table.columns)) if key else ()
        if not columns or not set(columns) <= set(self._table.columns):
            return
        given = Subject(name="key not_null", column=key, columns=columns, told=f"the key {key} must be given")
        self._plan.append(EachRow(given, _lacks_any(columns), keeps_rows=False))
        once = Subject(name="key unique", column=key, columns=columns, told=f"the key {key} must be unique")
        self._plan.append(Unique(once, keeps_rows=False))

    def _span_of(self, column: str) -> TimeSpan:
        return self._spans.setdefault(column, TimeSpan(column))

    # What the section declares.

    def _plan_declared(self, check: CheckSection) -> None:
        self._plan += check_named_columns(check, self._table.columns)
        if check.volume is not None:
            self._plan.append(lambda: check_volume(check, self._profile.rows, self._past.previous))
        if check.expression is not None:
            self._plan_expression(check, check.expression)
        names = check.columns or (key_columns(check.column, self._table.columns) if check.column else ())
        column = ", ".join(check.columns) or check.column
        if not names or column is None:
            return
        for name in names:
            if name not in self._table.columns:
                told = f"the column {name!r} is not there; {nearest_hint(name, self._table.columns)}"
                self._plan.append(verdict(f"{column} exists", column, check.action, told))
                return
        self._plan_rows(check, column, tuple(names))
        self._plan_column(check, column)

    def _plan_rows(self, check: CheckSection, column: str, names: tuple[str, ...]) -> None:
        keeps = check.action == "quarantine"
        for rule, find in ROW_RULES.items():
            if getattr(check, rule) not in (None, False):
                subject = _subject(check, rule, column, names, describe(rule, column, check))
                self._plan.append(EachRow(subject, _bind(find, column, check), keeps_rows=keeps))
        if check.unique:
            subject = _subject(check, "unique", column, names, f"{column} must be unique")
            self._plan.append(Unique(subject, keeps_rows=keeps))
        if check.monotonic:
            told = f"{column} must be {check.monotonic.replace('_', ' ')} from row to row"
            self._plan.append(
                Order(_subject(check, "monotonic", column, names, told), check.monotonic, keeps_rows=keeps)
            )
        if check.references:
            told = f"{column} must stand in {check.references}"
            subject = _subject(check, "references", column, names, told)
            self._plan.append(References(subject, self._reader_of(check.references, names), keeps_rows=keeps))

    def _plan_column(self, check: CheckSection, column: str) -> None:
        if check.max_age is not None:
            span = self._span_of(column)
            self._plan.append(lambda: iter([check_age(check, column, span.span[1], self._now)]))
        bounds = check.distribution
        if bounds is not None:
            find = self._past.reference or (lambda number: None)
            self._plan.append(lambda: iter([check_distribution(check, column, bounds, self._profile, find)]))

    def _plan_expression(self, check: CheckSection, text: str) -> None:
        try:
            expression, names = parse_expression(text, self._table.columns)
        except InvalidInputError as error:
            self._plan.append(verdict(text, check.column, check.action, str(error)))
            return
        subject = Subject(
            name=text,
            column=", ".join(names),
            columns=names,
            told=f"every row must meet {text}",
            action=check.action,
            tolerance=check.tolerance,
        )
        keeps = check.action == "quarantine"
        self._plan.append(EachRow(subject, lambda frame: rows_against(frame, text, expression), keeps_rows=keeps))

    def _reader_of(self, references: str, names: Sequence[str]) -> Callable[[], Iterator[pl.DataFrame]]:
        dataset, _, column = references.rpartition(".")
        columns = [part.strip() for part in column.split(",")]

        def read() -> Iterator[pl.DataFrame]:
            if len(columns) != len(names):
                raise InvalidInputError(f"{references!r} names {len(columns)} columns for {len(names)}")
            if self._past.read_columns is None:
                raise NotFoundError(f"{references!r} cannot be looked up: there are no other datasets here")
            yield from self._past.read_columns(dataset, columns)

        return read


def _marked(checks: Sequence[RowCheck], rows: dict[str, int]) -> Iterator[tuple[str, RowMarks]]:
    """The checks that failed and put rows aside."""
    for check in checks:
        marks = check.findings.marks
        if marks is not None and len(marks) and not check.findings.tell(check.subject, rows).passed:
            yield check.subject.name, marks


def _subject(check: CheckSection, rule: str, column: str, names: tuple[str, ...], told: str) -> Subject:
    return Subject(
        name=f"{column} {rule}",
        column=column,
        columns=names,
        told=told,
        action=check.action,
        tolerance=check.tolerance,
    )


def _bind(
    find: Callable[[pl.DataFrame, str, CheckSection], pl.Series], column: str, check: CheckSection
) -> Callable[[pl.DataFrame], pl.Series]:
    return lambda frame: find(frame, column, check)


def _lacks_any(columns: tuple[str, ...]) -> Callable[[pl.DataFrame], pl.Series]:
    def find(frame: pl.DataFrame) -> pl.Series:
        return frame.select(pl.any_horizontal(lacks_value(frame.get_column(name)) for name in columns)).to_series()

    return find

"""A look at somebody's table: what kind of task it is, and what each column is good for, in plain words."""

from collections.abc import Sequence
from typing import Literal

import polars as pl
from msgspec import Struct

from penstock.core.project.types import Task
from penstock.datasets.frames import check_column, times_of
from penstock.datasets.schema import kind_of
from penstock.datasets.types import ColumnKind

ColumnRole = Literal["label", "feature", "time", "key", "identifier", "constant", "unusable"]

_MOST_CLASSES = 20  # whole numbers with more values than this are taken as amounts
_MOST_CATEGORIES = 0.5  # distinct texts as a share of the rows; above it, a column names rather than describes
_FEW_ROWS = 50  # below this, a share says nothing
_TIME_WORDS = ("time", "date", "at", "day", "timestamp", "when", "created", "admitted")
_KEY_WORDS = ("id", "key", "uuid", "uid", "number", "nbr", "no", "index")
_LEAK_VALUES = 50  # columns with more values than this are not looked at for giving the label away


class InspectedColumn(Struct, frozen=True):
    """One column, what it is good for, and why."""

    name: str
    kind: ColumnKind
    role: ColumnRole
    reason: str


class Inspection(Struct, frozen=True, kw_only=True):
    """What a table looks like to somebody who wants to predict one of its columns."""

    rows: int
    label: str
    task: Task
    task_reason: str
    time: str | None
    key: str | None
    columns: tuple[InspectedColumn, ...]
    in_label_order: bool = False  # the rows stand in the order of their label: the last ones are like no others
    warnings: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The columns a model may learn from."""
        return tuple(column.name for column in self.columns if column.role == "feature")


def inspect_table(frame: pl.DataFrame, label: str) -> Inspection:
    """Guess the task, the time, the key and the use of each column.

    Raises:
        InvalidInputError: there is no such column, or nothing in it to predict.
    """
    check_column(label, frame.columns, "the table")
    task, task_reason = guess_task(frame.get_column(label))
    others = [name for name in frame.columns if name != label]
    time = _guess_time(frame, others)
    key = _guess_key(frame, [name for name in others if name != time])
    columns = tuple(_inspect_column(frame.get_column(name), label, time, key, task) for name in frame.columns)
    features = [column.name for column in columns if column.role == "feature"]
    in_order = time is None and _is_in_order(frame.get_column(label).drop_nulls(), task)
    return Inspection(
        rows=frame.height,
        label=label,
        task=task,
        task_reason=task_reason,
        time=time,
        key=key,
        columns=columns,
        in_label_order=in_order,
        warnings=tuple(_warn(frame, label, features, task, time, in_order)),
    )


def guess_task(label: pl.Series) -> tuple[Task, str]:
    """What kind of prediction a label asks for, and why."""
    held = label.drop_nulls()
    distinct, kind = held.n_unique() if kind_of(label.dtype) not in ("list", "other") else 0, kind_of(label.dtype)
    if distinct == 2:
        return "binary", f"{label.name} has two values: {_show(held.unique().sort().to_list())}"
    if distinct < 2:
        return "binary", f"{label.name} has {'one value' if distinct else 'no value that can be compared'}"
    if kind in ("text", "boolean"):
        return "multiclass", f"{label.name} names one of {distinct} classes"
    if kind == "integer" and distinct <= _MOST_CLASSES:
        return "multiclass", f"{label.name} has {distinct} whole numbers as values; say regression if they are amounts"
    return "regression", f"{label.name} is a number with {distinct:,} values"


def _guess_time(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    """The date or time column; of several the one whose name says so, then the first."""
    found = [name for name in names if _is_time(frame.get_column(name))]
    return min(found, key=lambda name: (not _has_word(name, _TIME_WORDS), names.index(name)), default=None)


def _is_time(series: pl.Series) -> bool:
    kind = kind_of(series.dtype)
    if kind not in ("date", "datetime", "text") or series.null_count() or series.is_empty():
        return False
    if kind == "text" and not _looks_like_time(series):
        return False
    times = times_of(series)
    return times is not None and times.null_count() == 0 and times.n_unique() > 1


def _looks_like_time(series: pl.Series) -> bool:
    return bool(series.head(100).str.contains(r"^\d{4}-\d\d-\d\d").all())


def _guess_key(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    """A column without gaps or repetitions that is called like a key."""
    for name in names:
        series = frame.get_column(name)
        if kind_of(series.dtype) not in ("integer", "text") or not _has_word(name, _KEY_WORDS):
            continue
        if not series.null_count() and series.n_unique() == len(series):
            return name
    return None


def _inspect_column(series: pl.Series, label: str, time: str | None, key: str | None, task: Task) -> InspectedColumn:
    kind = "unknown" if series.null_count() == len(series) else kind_of(series.dtype)
    role, reason = _give_role(series, kind, label, time, key)
    return InspectedColumn(series.name, kind, role, f"it is what is predicted ({task})" if role == "label" else reason)


def _give_role(
    series: pl.Series, kind: ColumnKind, label: str, time: str | None, key: str | None
) -> tuple[ColumnRole, str]:
    if series.name == label:
        return "label", ""
    if series.name == time:
        return "time", "its values are moments, so the rows can be put in order"
    if series.name == key:
        return "key", "every row has another value, and its name says that it is a key"
    if kind == "unknown":
        return "constant", "no row has a value"
    if kind in ("list", "other"):
        return "unusable", f"its values are neither numbers nor texts ({series.dtype})"
    if kind in ("date", "datetime"):
        return "unusable", "it is a second time; derive numbers from it to use it"
    distinct = series.drop_nulls().n_unique()
    if distinct == 1:
        return "constant", f"every value is {series.drop_nulls().item(0)!r}"
    if kind == "text" and len(series) >= _FEW_ROWS and distinct > _MOST_CATEGORIES * len(series):
        return "identifier", f"{distinct:,} different texts in {len(series):,} rows: they name things"
    if kind == "integer" and distinct > _MOST_CATEGORIES * len(series) and _has_word(series.name, _KEY_WORDS):
        return "identifier", f"{distinct:,} different numbers in {len(series):,} rows, and a name as keys have it"
    gaps = f", {series.null_count() / len(series):.0%} without a value" if series.null_count() else ""
    return "feature", f"{_describe(kind)} with {distinct:,} different values{gaps}"


def _describe(kind: ColumnKind) -> str:
    return {"text": "a category", "boolean": "yes or no"}.get(kind, "a number")


def _is_in_order(label: pl.Series, task: Task) -> bool:
    """Whether rows with equal labels stand together, or amounts rise or fall from row to row."""
    if len(label) < _FEW_ROWS or kind_of(label.dtype) in ("list", "other"):
        return False
    if task == "regression":
        return label.is_sorted() or label.is_sorted(descending=True)
    return int(label.rle_id().max() or 0) + 1 <= 2 * label.n_unique()  # type: ignore[arg-type]  # an id is a number


def _warn(
    frame: pl.DataFrame, label: str, features: Sequence[str], task: Task, time: str | None, in_order: bool
) -> list[str]:
    told = []
    target = frame.get_column(label)
    if target.null_count():
        told.append(f"{target.null_count():,} rows have no {label}; they cannot be learnt from")
    if kind_of(target.dtype) in ("list", "other") or target.drop_nulls().n_unique() < 2:
        told.append(f"{label} does not tell rows apart, so there is nothing to predict yet")
    if not features:
        told.append("no column is left to learn from")
    if in_order:
        told.append(f"no column holds times and the rows stand in the order of {label}; they are shuffled")
    elif time is None:
        told.append("no column holds times; rows are taken in the order of the file")
    if task in ("binary", "multiclass"):
        told.extend(
            f"{name} alone gives {label} away; make sure it is known before {label} is"
            for name in features
            if _gives_away(frame, name, label)
        )
    return told


def _gives_away(frame: pl.DataFrame, name: str, label: str) -> bool:
    pairs = frame.select(pl.col(name).alias("value"), pl.col(label).alias("label")).drop_nulls()
    values = pairs.get_column("value").n_unique()
    if not 1 < values <= _LEAK_VALUES or pairs.height < _FEW_ROWS or pairs.get_column("label").n_unique() < 2:
        return False
    return pairs.unique().height == values


def _has_word(name: str, words: Sequence[str]) -> bool:
    """Whether a column's name holds one of the words, as in `order_id`, `orderId` or `InvoiceDate`."""
    apart = "".join(f" {letter}" if letter.isupper() else letter for letter in name)
    parts = apart.lower().replace("_", " ").replace("-", " ").replace(".", " ").split()
    joined = name.lower().strip("_")
    return any(word in parts or joined == word or (len(word) > 3 and joined.endswith(word)) for word in words) or (
        "id" in words and name.endswith(("ID", "Id"))
    )


def _show(values: Sequence[object]) -> str:
    return " and ".join(repr(value) for value in values)

"""Predictions that were made elsewhere, as the rows of our log: a table, and which of its columns mean what.

A row is wrong when it lacks what makes it a prediction: a time that can be read, an answer that fits the task, and
where rows have ids an id of its own. Inputs may hold anything; that they changed is for the monitor to say.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl
from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.predictions.blocks import SCHEMA
from penstock.predictions.event_time import FIRST, LAST
from penstock.registry.format.types import Label

NO_CLASS = "\0"
TOLD = 5  # wrong rows that a message names
_AT = pl.Datetime("us", "UTC")


class Roles(Struct, frozen=True, kw_only=True):
    """Which column means what; all others are inputs. Empty: there is none."""

    time: str = ""  # when the prediction was made
    prediction: str = ""
    score: str = ""  # of a binary classifier: the probability of the positive class
    label: str = ""  # what turned out to be true; empty cells: not known yet
    label_time: str = ""  # when that happened; without it, at once
    id: str = ""  # names the row, and its outcome later
    key: str = ""  # whom it is about; rows of one key are alike
    inputs: tuple[str, ...] = ()  # what is watched; empty for all other columns

    @property
    def named(self) -> list[str]:
        """The columns with a meaning."""
        ones = (self.time, self.prediction, self.score, self.label, self.label_time, self.id, self.key)
        return [name for name in ones if name]


class ReadRows(Struct, frozen=True):
    """What a table came to.

    Attributes:
        rows: `SCHEMA` of the log, with `name`, `label` (JSON text; null: not known) and `label_at`; oldest first.
        inputs: the input columns as they were in the table, of the same rows.
        wrong: how many rows were left out as they are wrong.
        repeated: how many said the same as another row of the same id.
    """

    rows: pl.DataFrame
    inputs: pl.DataFrame
    wrong: int
    repeated: int


def find_inputs(frame: pl.DataFrame, roles: Roles) -> list[str]:
    """The input columns of a table.

    Raises:
        InvalidInputError: a column that was named is not there, or none is left.
    """
    check_columns(frame, [*roles.named, *roles.inputs])
    inputs = list(roles.inputs) or [name for name in frame.columns if name not in roles.named]
    if not inputs:
        raise InvalidInputError("no column is left as an input", hint="name fewer others, or give inputs")
    return inputs


def check_columns(frame: pl.DataFrame, names: Sequence[str]) -> None:
    """Say which of some columns a table lacks.

    Raises:
        InvalidInputError: it lacks one.
    """
    for name in names:
        if name not in frame.columns:
            hint = nearest_hint(name, frame.columns)
            raise InvalidInputError(f"there is no column {name!r}", hint=hint, field=name)


def find_classes(frame: pl.DataFrame, roles: Roles, task: Task) -> list[Label]:
    """The classes that a table of a classifier shows, in their order; whole numbers stay whole."""
    if task not in ("binary", "multiclass"):
        return []
    values: set[Label] = set()
    for name in (roles.prediction, roles.label):
        if name:
            values |= {_plain(value) for value in frame[name].unique().drop_nulls().drop_nans().to_list()}
    if task == "binary" and values <= {0, 1}:
        return [0, 1]
    if len({type(value) for value in values}) > 1:
        raise InvalidInputError(
            f"classes are of different types: {', '.join(repr(value) for value in sorted(values, key=str)[:4])}",
            hint="write predictions and labels alike, or name the classes",
        )
    return sorted(values)


def read_rows(
    frame: pl.DataFrame,
    roles: Roles,
    *,
    task: Task,
    classes: Sequence[Label],
    version: int,
    now: datetime,
    skip_wrong: bool = False,
) -> ReadRows:
    """A table as rows of the log.

    Args:
        frame: the table.
        roles: which column means what.
        task: of the model.
        classes: of a classifier.
        version: of the model, which the rows are logged under.
        now: the time of rows that have none.
        skip_wrong: leave out rows that are wrong instead of refusing all.

    Raises:
        InvalidInputError: a column is missing or of no use, or rows are wrong; the first of them are named.
    """
    inputs = find_inputs(frame, roles)
    whole = frame.with_row_index("\0row").with_columns(
        read_times(frame, roles.time).fill_null(now).alias("\0at")
        if not roles.time
        else read_times(frame, roles.time).alias("\0at"),
        _answer(frame, roles, task, classes).alias("\0output"),
        _text(frame, roles.id).alias("\0name"),
        _text(frame, roles.key).fill_null("").alias("\0key"),
        _label(frame, roles, task, classes).alias("\0label"),
        read_times(frame, roles.label_time).alias("\0label_at"),
    )
    reasons = _find_wrong(whole, roles)
    if reasons["reason"].null_count() < whole.height and not skip_wrong:
        raise refuse_rows(reasons, hint="mend them, or leave them out with skip_wrong (--skip-wrong)")
    sound = whole.filter(reasons["reason"].is_null())
    single = sound.unique("\0name", keep="first", maintain_order=True) if roles.id else sound
    ordered = single.sort("\0at", "\0row")
    held = ordered.select(inputs)
    return ReadRows(
        rows=_log_rows(ordered, held, version),
        inputs=held,
        wrong=whole.height - sound.height,
        repeated=sound.height - single.height,
    )


def _log_rows(ordered: pl.DataFrame, inputs: pl.DataFrame, version: int) -> pl.DataFrame:
    fixed = {
        "revision": pl.lit(version, pl.Int32),
        "latency_ms": pl.lit(0.0, pl.Float32),
        "status": pl.lit("ok"),
        "propensity": pl.lit(1.0),
        "answered": pl.lit(None, pl.String),
        "caller_id": pl.lit(None, pl.String),
    }
    plain = inputs.with_columns(pl.selectors.float().fill_nan(None))
    return ordered.with_columns(
        **fixed,
        row=pl.int_range(pl.len(), dtype=pl.Int32),
        inputs=plain.select(pl.struct(pl.all()).struct.json_encode()).to_series(),
    ).select(
        *[_PLACES.get(name, pl.col(name)).cast(kind).alias(name) for name, kind in SCHEMA.items()],
        pl.col("\0name").alias("name"),
        pl.col("\0label").alias("label"),
        pl.coalesce("\0label_at", "\0at").alias("label_at"),
    )


_PLACES = {"at": pl.col("\0at"), "key": pl.col("\0key"), "output": pl.col("\0output")}


def read_times(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column as moments in UTC; null where a value is none."""
    if not name:
        return pl.repeat(None, frame.height, dtype=_AT, eager=True)
    column = frame[name]
    if column.dtype == pl.String:
        column = column.str.to_datetime(strict=False, time_zone="UTC", time_unit="us", format=None, exact=True)
    elif column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    elif not isinstance(column.dtype, pl.Datetime):
        raise InvalidInputError(f"{name!r} holds {column.dtype}, no times", hint="write them in ISO 8601", field=name)
    moment = column.cast(pl.Datetime("us", getattr(column.dtype, "time_zone", None)))
    zone = getattr(moment.dtype, "time_zone", None)
    return moment.dt.convert_time_zone("UTC") if zone else moment.dt.replace_time_zone("UTC")


def _text(frame: pl.DataFrame, name: str) -> pl.Series:
    if not name:
        return pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    return frame[name].cast(pl.String)


def _answer(frame: pl.DataFrame, roles: Roles, task: Task, classes: Sequence[Label]) -> pl.Series:
    """The answer of each row as a JSON object; null where it is none."""
    if task == "ranking":
        return _lists(frame, roles.prediction, "items")
    parts: dict[str, pl.Series] = {}
    fits = pl.repeat(True, frame.height, eager=True)
    if roles.score:
        scores = frame[roles.score].cast(pl.Float64, strict=False).fill_nan(None)
        parts["score"] = scores
        fits = fits & scores.is_between(0, 1).fill_null(False)
    if roles.prediction:
        parts["prediction"] = _values(frame[roles.prediction], task)
        fits = fits & parts["prediction"].is_not_null()
        if classes:
            fits = fits & _is_class(parts["prediction"], classes)
    elif roles.score and task == "binary" and len(classes) == 2:
        positive = parts["score"] >= 0.5
        parts["prediction"] = pl.select(
            pl.when(positive).then(pl.lit(classes[1])).otherwise(pl.lit(classes[0]))
        ).to_series()
    else:
        raise InvalidInputError(
            "the rows have no answer", hint="name the prediction column, or the score of two classes"
        )
    texts = pl.DataFrame(parts).select(pl.struct(pl.all()).struct.json_encode()).to_series()
    return texts.set(~fits, None)


def _lists(frame: pl.DataFrame, name: str, field: str) -> pl.Series:
    if not name or not isinstance(frame[name].dtype, pl.List):
        raise InvalidInputError("a ranking is a column of lists", hint="name it as the prediction", field=name)
    items = frame[name].cast(pl.List(pl.String))
    return (
        pl.DataFrame({field: items})
        .select(pl.struct(pl.all()).struct.json_encode())
        .to_series()
        .set(items.is_null(), None)
    )


def _label(frame: pl.DataFrame, roles: Roles, task: Task, classes: Sequence[Label]) -> pl.Series:
    """What is known of each row as JSON; null where nothing is, and `NO_CLASS` where it fits no class."""
    if not roles.label:
        return pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    column = frame[roles.label]
    if task == "ranking":
        texts = _lists(frame, roles.label, "x").str.strip_prefix('{"x":').str.strip_suffix("}")
        return texts
    values = _values(column, task)
    lost = (
        values.is_null() & column.fill_nan(None).is_not_null()
        if column.dtype.is_float()
        else (values.is_null() & column.is_not_null())
    )
    if classes:
        lost = lost | (values.is_not_null() & ~_is_class(values, classes))
    texts = pl.DataFrame({"x": values}).select(pl.struct("x").struct.json_encode()).to_series()
    texts = texts.str.strip_prefix('{"x":').str.strip_suffix("}").set(values.is_null(), None)
    return texts.set(lost, NO_CLASS)


def _values(column: pl.Series, task: Task) -> pl.Series:
    """Classes and numbers as they are compared: whole floats as integers, NaN as nothing."""
    if task == "regression":
        numbers = column.cast(pl.Float64, strict=False)
        return numbers.set(~numbers.is_finite().fill_null(False), None)
    if column.dtype.is_float():
        numbers = column.fill_nan(None)
        return numbers.cast(pl.Int64) if (numbers == numbers.floor()).all() else numbers
    return column.cast(pl.String) if isinstance(column.dtype, pl.Categorical | pl.Enum) else column


def _is_class(values: pl.Series, classes: Sequence[Label]) -> pl.Series:
    known = [value for value in values.unique().drop_nulls().to_list() if value in classes]
    return values.is_in(pl.Series(known, dtype=values.dtype)).fill_null(False)


def _plain(value: Label) -> Label:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _find_wrong(whole: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Each row's number (from 1) and what is wrong with it; null where nothing is."""
    at, name = pl.col("\0at"), pl.col("\0name")
    said = pl.struct(at, "\0output", "\0key", *[column for column in whole.columns if column[0] != "\0"])
    checks = [
        (at.is_null(), f"{roles.time!r} is no time"),
        (~at.is_between(FIRST, LAST, closed="left"), f"{roles.time!r} is not between 1970 and 2199"),
        (pl.col("\0output").is_null(), "the answer is missing or fits no class"),
        (pl.col("\0label") == NO_CLASS, f"{roles.label!r} fits no class"),
    ]
    if roles.id:
        checks += [
            (name.is_null() | (name == ""), f"{roles.id!r} is empty"),
            (name.str.len_chars() > 200, f"{roles.id!r} is longer than 200 characters"),
            (said.n_unique().over(name) > 1, f"another row of the same {roles.id!r} says something else"),
        ]
    reason = pl.lit(None, pl.String)
    for holds, text in reversed(checks):
        reason = pl.when(holds.fill_null(False)).then(pl.lit(text)).otherwise(reason)
    return whole.select((pl.col("\0row") + 1).alias("row"), reason.alias("reason"))


def refuse_rows(reasons: pl.DataFrame, *, hint: str) -> InvalidInputError:
    """What is wrong with some rows, the first of them named: columns `row`, from 1, and `reason`; null: nothing."""
    wrong = reasons.filter(pl.col("reason").is_not_null())
    told = "; ".join(f"row {row}: {reason}" for row, reason in wrong.head(TOLD).iter_rows())
    more = f"; and {wrong.height - TOLD} more" if wrong.height > TOLD else ""
    return InvalidInputError(
        f"{wrong.height} of {reasons.height} rows are wrong, and none was taken: {told}{more}",
        hint=hint,
        field=f"rows[{wrong['row'][0] - 1}]",
    )

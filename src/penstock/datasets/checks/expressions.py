"""Row expressions: a condition in SQL, such as `end >= start`, that every row has to meet."""

import re
from collections.abc import Sequence

import polars as pl

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_WORDS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_]\w*")

_OVER_ROWS = re.compile(
    r"\b(?:avg|sum|min|max|count|first|last|median|std(?:dev)?(?:_pop|_samp)?|var(?:iance)?(?:_pop|_samp)?|corr|"
    r"covar\w*|quantile\w*|percentile\w*|array_agg|string_agg|listagg|unnest|explode|row_number|rank|dense_rank|lag|"
    r"lead|first_value|last_value|nth_value)\s*\(|\bover\b|\bselect\b",
    re.IGNORECASE,
)


def parse_expression(text: str, columns: Sequence[str]) -> tuple[pl.Expr, tuple[str, ...]]:
    """A condition with the columns it reads, in the order in which it names them.

    Raises:
        InvalidInputError: it is no SQL expression, names a column that is not there, or looks at more than one row.
    """
    expression = _parse(text, columns)
    names = tuple(dict.fromkeys(expression.meta.root_names()))
    for name in names:
        if name not in columns:
            raise InvalidInputError(
                f"{text!r} names the column {name!r}, which is not there", hint=nearest_hint(name, columns)
            )
    if not names:
        raise InvalidInputError(f"{text!r} names no column", hint="write a condition as in: end >= start")
    if _several_rows(text):
        hint = "compare columns of one row; volume, unique and monotonic look at several"
        raise InvalidInputError(f"{text!r} looks at more than one row", hint=hint)
    return expression, names


def _parse(text: str, columns: Sequence[str]) -> pl.Expr:
    """SQL as it stands, or with its columns in quotes where one is called like a word of SQL, such as `end`."""
    try:
        return pl.sql_expr(text)
    except pl.exceptions.PolarsError as error:
        told = str(error).splitlines()[0]
    try:
        return pl.sql_expr(_WORDS.sub(lambda word: f'"{word[0]}"' if word[0] in columns else word[0], text))
    except pl.exceptions.PolarsError as error:
        hint = "write one as in: ended_at >= started_at"
        raise InvalidInputError(f"{text!r} is no condition: {told}", hint=hint) from error


def _several_rows(text: str) -> bool:
    """Whether a condition uses a function of several rows; a batch of rows would give it another meaning."""
    return _OVER_ROWS.search(_QUOTED.sub("''", text)) is not None


def rows_against(frame: pl.DataFrame, text: str, expression: pl.Expr) -> pl.Series:
    """The rows that do not meet a condition; where a value is missing it can be neither met nor missed.

    Raises:
        InvalidInputError: it cannot be computed, or is neither true nor false.
    """
    try:
        met = frame.select(expression.alias("met")).to_series()
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(f"{text!r} cannot be computed: {str(error).splitlines()[0]}") from error
    if met.dtype == pl.Null:
        return pl.repeat(False, len(met), dtype=pl.Boolean, eager=True)
    if met.dtype != pl.Boolean:
        raise InvalidInputError(f"{text!r} is of type {met.dtype}, neither true nor false", hint="write a condition")
    return (~met).fill_null(False)

"""Which part each row belongs to, by the method of a recipe."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import blake3
import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.datasets.checks.rules import key_columns
from penstock.datasets.frames.table import Table
from penstock.datasets.frames.values import times_of
from penstock.datasets.splits.types import SplitRecipe

NO_PART = 255
Parts = NDArray[np.uint8]
_SPACE = 2.0**64


def assign_by_chance(table: Table, recipe: SplitRecipe) -> Parts:
    """A part for each row by a hash of its key: a row keeps its part when others come or go.

    With the method `grouped` the key is the group. Shares are met on average, the closer the more keys there are.
    """
    columns = _key_columns(table, recipe.column if recipe.by == "grouped" else recipe.key)
    edges = np.cumsum(recipe.shares)[:-1]
    found = [np.searchsorted(edges, _chances(batch, recipe.seed), "right") for batch in _texts(table, columns)]
    return _joined(found)


def assign_by_strata(table: Table, recipe: SplitRecipe) -> Parts:
    """As by chance, but each value of a column has the shares of the recipe, to within a row.

    A row may change its part when its stratum grows, only where it lies next to the border of two parts.
    """
    assert recipe.column is not None
    columns = _key_columns(table, recipe.key)
    chances = _joined_floats(_chances(batch, recipe.seed) for batch in _texts(table, columns))
    strata = [batch.frame.get_column(recipe.column) for batch in table.batches([recipe.column])]
    frame = pl.DataFrame({"stratum": pl.concat(strata) if strata else [], "chance": chances})
    rank = (pl.col("chance").rank("ordinal").over("stratum") - 0.5) / pl.len().over("stratum")
    edges = np.cumsum(recipe.shares)[:-1]
    return np.searchsorted(edges, frame.select(rank).to_series().to_numpy(), "right").astype(np.uint8)


def assign_by_time(table: Table, recipe: SplitRecipe) -> tuple[Parts, tuple[datetime, ...]]:
    """A part for each row by its time, with the moments at which the parts after the first begin.

    Rows of the same moment are never parted. Where shares are given, the cuts are the moments that come closest.

    Raises:
        InvalidInputError: a row has no time, or the times are too few for so many parts.
    """
    assert recipe.time is not None
    moments = _moments(table, recipe.time)
    cuts = recipe.cuts or _cuts_by_share(moments, recipe)
    edges = np.array([_micros(cut) for cut in cuts], dtype=np.int64)
    parts = np.searchsorted(edges, moments, "right").astype(np.uint8)
    if recipe.gap is not None:
        gap = round(recipe.gap.total_seconds() * 1e6)
        for edge in edges:
            parts[(moments >= edge - gap) & (moments < edge)] = NO_PART
    return parts, tuple(cuts)


def _cuts_by_share(moments: NDArray[np.int64], recipe: SplitRecipe) -> tuple[datetime, ...]:
    ordered = np.sort(moments)
    starts = np.flatnonzero(np.diff(ordered)) + 1  # where another moment begins
    wanted = np.cumsum(recipe.shares)[:-1] * len(ordered)
    edges = [int(ordered[starts[np.abs(starts - place).argmin()]]) for place in wanted] if len(starts) else []
    if len(set(edges)) < len(wanted):
        problem = f"{recipe.time} has too few different moments for {len(recipe.shares)} parts of these shares"
        raise InvalidInputError(problem, hint="take fewer parts, or say where to cut")
    return tuple(pl.Series(edges, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")).to_list())


def _moments(table: Table, column: str) -> NDArray[np.int64]:
    """The time of each row in microseconds since 1970."""
    values = pl.concat([batch.frame.get_column(column) for batch in table.batches([column])])
    times = times_of(values)
    if times is None:
        raise InvalidInputError(f"the values of {column!r} are no times", hint="name the time column with --time")
    if times.null_count():
        raise InvalidInputError(f"{times.null_count():,} rows have no {column}, so they come neither before nor after")
    return times.cast(pl.Int64).to_numpy()


def _micros(moment: datetime) -> int:
    return int(pl.Series([moment]).dt.cast_time_unit("us").cast(pl.Int64).item())


def _key_columns(table: Table, key: str | None) -> list[str]:
    return key_columns(key, table.columns) if key else table.columns


def _texts(table: Table, columns: list[str]) -> Iterator[pl.Series]:
    """The key of each row as one text, batch by batch; it says the same of 1 in every type of integer."""
    for batch in table.batches(columns):
        frame = batch.frame
        plain = [
            frame.get_column(name).cast(pl.String)
            if not frame.schema[name].is_nested()
            else pl.Series(name, [repr(value) for value in frame.get_column(name).to_list()])
            for name in columns
        ]
        marked = [pl.when(text.is_null()).then(pl.lit("-")).otherwise(pl.lit("+") + text) for text in plain]
        yield frame.select(pl.concat_str(marked, separator="\x1f").alias("key")).to_series()


def _chances(keys: pl.Series, seed: int) -> NDArray[np.float64]:
    """A number from 0 to 1 for each key that looks like chance; the same on every machine and in every release."""
    start = blake3.blake3(f"penstock split {seed}\n".encode())

    def chance(key: str) -> int:
        hasher = start.copy()
        hasher.update(key.encode())
        return int.from_bytes(hasher.digest(length=8), "little")

    once = keys.unique()
    numbers = np.fromiter(map(chance, once.to_list()), dtype=np.uint64, count=len(once)) / _SPACE
    return (
        keys.to_frame("key")
        .join(pl.DataFrame({"key": once, "chance": numbers}), on="key", how="left", maintain_order="left")
        .get_column("chance")
        .to_numpy()
    )


def _joined(parts: list[NDArray[np.int64]]) -> Parts:
    return np.concatenate(parts).astype(np.uint8) if parts else np.empty(0, dtype=np.uint8)


def _joined_floats(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([*parts, np.empty(0, dtype=np.float64)])

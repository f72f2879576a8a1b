"""What changed between two versions: columns, rows, and how the values of each column are spread."""

from typing import Literal

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.datasets.checks.rules import key_columns
from penstock.datasets.frames import read_version, to_value
from penstock.datasets.frames.values import shorten
from penstock.datasets.profile import profile_frame
from penstock.datasets.schema import compare_schemas, kind_of
from penstock.datasets.types import ColumnProfile, DatasetVersion, SchemaChange, Value
from penstock.storage.objects.object_store import ObjectStore

SAMPLES = 5  # rows that a difference shows
_MARK = "__penstock_digest"


class RowSample(Struct, frozen=True):
    """A row that is in one version only, or differs: by its key, or whole where the dataset names no key."""

    change: Literal["added", "removed", "changed"]
    values: dict[str, Value]


class RowDiff(Struct, frozen=True, kw_only=True):
    """How many rows came, went, and stayed under another form."""

    key: str | None  # None: whole rows were compared, so that a changed row counts as removed and added
    added: int
    removed: int
    changed: int
    same: int
    samples: tuple[RowSample, ...] = ()


class ColumnDiff(Struct, frozen=True, kw_only=True):
    """How far the values of a column moved.

    `distance` is between 0, the same spread of values, and 1, nothing in common: the largest gap between the two
    cumulative distributions for numbers and times, half the sum of the differences in share for other values.
    """

    name: str
    distance: float
    before: ColumnProfile
    after: ColumnProfile


class DatasetDiff(Struct, frozen=True, kw_only=True):
    """Two versions of a dataset side by side."""

    dataset: str
    before: int
    after: int
    schema: tuple[SchemaChange, ...]
    rows: RowDiff
    columns: tuple[ColumnDiff, ...]  # the ones that both have, the one that moved most first


def diff_versions(objects: ObjectStore, before: DatasetVersion, after: DatasetVersion) -> DatasetDiff:
    """Compare two versions.

    Raises:
        InvalidInputError: they are of two datasets.
    """
    if before.dataset != after.dataset:
        raise InvalidInputError(f"{before.dataset!r} and {after.dataset!r} are two datasets, not two versions of one")
    old, new = read_version(objects, before), read_version(objects, after)
    shared = [name for name in old.columns if name in new.columns]
    columns = [_diff_column(old.get_column(name), new.get_column(name)) for name in shared]
    return DatasetDiff(
        dataset=before.dataset,
        before=before.version,
        after=after.version,
        schema=tuple(compare_schemas(before.schema, after.schema)),
        rows=_diff_rows(old.select(shared), new.select(shared), after.roles.key),
        columns=tuple(sorted(columns, key=lambda column: -column.distance)),
    )


def _diff_rows(old: pl.DataFrame, new: pl.DataFrame, key: str | None) -> RowDiff:
    columns = key_columns(key, new.columns) if key else []
    usable = bool(columns) and all(name in old.columns and old.schema[name] == new.schema[name] for name in columns)
    if not usable or old.select(columns).is_duplicated().any() or new.select(columns).is_duplicated().any():
        return _diff_whole_rows(old, new)
    marked_old = old.select(*columns, _digest(old).alias(_MARK))
    marked_new = new.select(*columns, _digest(new).alias(_MARK))
    added = marked_new.join(marked_old, on=columns, how="anti", nulls_equal=True)
    removed = marked_old.join(marked_new, on=columns, how="anti", nulls_equal=True)
    both = marked_new.join(marked_old, on=columns, how="inner", nulls_equal=True, suffix="_before")
    changed = both.filter(pl.col(_MARK) != pl.col(f"{_MARK}_before"))
    samples = (
        *_sample("added", added.select(columns)),
        *_sample("removed", removed.select(columns)),
        *_sample("changed", changed.select(columns)),
    )
    return RowDiff(
        key=key,
        added=added.height,
        removed=removed.height,
        changed=changed.height,
        same=both.height - changed.height,
        samples=samples,
    )


def _diff_whole_rows(old: pl.DataFrame, new: pl.DataFrame) -> RowDiff:
    """Rows as a multiset: the same row twice counts twice."""
    counts = [
        frame.select(_digest(frame).alias(_MARK)).group_by(_MARK).agg(pl.len().cast(pl.Int64).alias("rows"))
        for frame in (old, new)
    ]
    both = counts[0].join(counts[1], on=_MARK, how="full", coalesce=True, suffix="_after").fill_null(0)
    balance = both.get_column("rows_after") - both.get_column("rows")
    added, removed = both.filter(balance > 0).get_column(_MARK), both.filter(balance < 0).get_column(_MARK)
    samples = (
        *_sample("added", new.filter(_digest(new).is_in(added.implode()))),
        *_sample("removed", old.filter(_digest(old).is_in(removed.implode()))),
    )
    more, fewer = int(balance.clip(0, None).sum()), -int(balance.clip(None, 0).sum())
    return RowDiff(key=None, added=more, removed=fewer, changed=0, same=new.height - more, samples=samples)


def _digest(frame: pl.DataFrame) -> pl.Series:
    """A number per row that differs where rows differ; values are compared as text, so that 1 and 1.0 are alike."""
    texts = [_as_text(frame.get_column(name)) for name in frame.columns]
    return pl.DataFrame(texts).hash_rows(seed=7) if texts else pl.Series([], dtype=pl.UInt64)


def _as_text(series: pl.Series) -> pl.Series:
    kind = kind_of(series.dtype)
    if kind == "number":
        return series.cast(pl.Float64)
    if kind == "integer":
        return series.cast(pl.Float64)
    if kind in ("list", "other"):
        return pl.Series(series.name, [to_value(value) for value in series.to_list()], dtype=pl.String, strict=False)
    return series.cast(pl.String)


def _sample(change: Literal["added", "removed", "changed"], rows: pl.DataFrame) -> tuple[RowSample, ...]:
    return tuple(
        RowSample(change, {name: shorten(to_value(value)) for name, value in row.items()})
        for row in rows.head(SAMPLES).iter_rows(named=True)
    )


def _diff_column(old: pl.Series, new: pl.Series) -> ColumnDiff:
    before, after = (profile_frame(series.to_frame()).columns[0] for series in (old, new))
    return ColumnDiff(name=new.name, distance=_distance(old, new), before=before, after=after)


def _distance(old: pl.Series, new: pl.Series) -> float:
    if old.is_empty() or new.is_empty():
        return 0.0 if len(old) == len(new) else 1.0
    kinds = {kind_of(old.dtype), kind_of(new.dtype)}
    nulls = abs(old.null_count() / len(old) - new.null_count() / len(new))
    if kinds <= {"integer", "number"} or kinds in ({"date"}, {"datetime"}):
        return max(nulls, _gap(_to_numbers(old), _to_numbers(new)))
    shares = [
        pl.DataFrame({"value": _as_text(series)}).group_by("value").agg((pl.len() / len(series)).alias("share"))
        for series in (old, new)
    ]
    if shares[0].schema["value"] != shares[1].schema["value"]:
        return 1.0
    both = shares[0].join(shares[1], on="value", how="full", suffix="_after", nulls_equal=True).fill_null(0.0)
    return float((both.get_column("share") - both.get_column("share_after")).abs().sum()) / 2


def _to_numbers(series: pl.Series) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    held = series.drop_nulls().to_physical().cast(pl.Float64).to_numpy()
    return np.sort(held[np.isfinite(held)])


def _gap(
    old: "np.ndarray[tuple[int], np.dtype[np.float64]]", new: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> float:
    """The Kolmogorov-Smirnov distance of two sorted samples."""
    if not len(old) or not len(new):
        return 0.0
    grid = np.concatenate([old, new])
    shares = [np.searchsorted(sample, grid, side="right") / len(sample) for sample in (old, new)]
    return float(np.abs(shares[0] - shares[1]).max())

"""Rows of two tables held against each other, by key or as wholes, in bounded memory."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from penstock.datasets.checks.rules import key_columns
from penstock.datasets.checks.spill import KeySpill, load
from penstock.datasets.diff.types import ChangedColumn, RowChange, RowDiff, RowSample
from penstock.datasets.frames.table import Batch, Table, sweep
from penstock.datasets.frames.values import shorten, to_value
from penstock.datasets.schema import kind_of
from penstock.datasets.types import Value

SAMPLES = 5  # rows of each kind of change that a difference shows
_ROW, _DIGEST, _HASH = "__row", "__digest", "__hash_"
_NUMBERS = ("integer", "number")


def diff_rows(old: Table, new: Table, key: str | None) -> RowDiff:
    """What became of the rows.

    Values are compared in the columns that both tables have; 1 and 1.0 are alike.

    Args:
        old: the rows before.
        new: the rows after.
        key: what tells them apart; where it does not, or is None, whole rows are compared.
    """
    shared = [name for name in new.columns if name in old.schema]
    keys = key_columns(key, new.columns) if key else []
    if keys and all(name in shared and old.schema[name] == new.schema[name] for name in keys):
        found = _ByKey(old, new, keys, [name for name in shared if name not in keys]).compare(key or "")
        if found is not None:
            return found
    return _compare_wholes(old, new, shared)


class _ByKey:
    """Both sides put apart by their key, so that a part of either fits into memory."""

    def __init__(self, old: Table, new: Table, keys: list[str], others: list[str]) -> None:
        self._tables = (old, new)
        self._keys = keys
        self._others = others
        self._hashes = [f"{_HASH}{place}" for place in range(len(others))]

    def compare(self, key: str) -> RowDiff | None:
        """The difference; None where a key stands twice."""
        sides = [_Side(table, self._keys, self._wanted(table)) for table in self._tables]
        try:
            for side, table in zip(sides, self._tables, strict=True):
                sweep(table, [side])
            return self._tell(key, sides)
        finally:
            for side in sides:
                side.spill.close()

    def _wanted(self, table: Table) -> list[pl.Expr]:
        types = [(self._tables[0].schema[name], self._tables[1].schema[name]) for name in self._others]
        hashes = [
            _hash(name, *pair).alias(alias) for name, pair, alias in zip(self._others, types, self._hashes, strict=True)
        ]
        return [*(pl.col(name) for name in self._keys), *hashes]

    def _tell(self, key: str, sides: Sequence["_Side"]) -> RowDiff | None:
        counts = dict.fromkeys(("added", "removed", "changed", "same"), 0)
        by_column = np.zeros(len(self._others), dtype=np.int64)
        rows: dict[str, list[pl.DataFrame]] = {"added": [], "removed": [], "changed": []}
        for before, after in _in_parts(sides):
            if any(frame.select(self._keys).is_duplicated().any() for frame in (before, after)):
                return None
            added = after.join(before, on=self._keys, how="anti", nulls_equal=True)
            removed = before.join(after, on=self._keys, how="anti", nulls_equal=True)
            both = after.join(before, on=self._keys, how="inner", suffix="_before", nulls_equal=True)
            differs = [pl.col(name).ne_missing(pl.col(f"{name}_before")).alias(name) for name in self._hashes]
            apart = both.select(differs) if differs else pl.DataFrame()
            is_changed = (
                apart.select(pl.any_horizontal(pl.all())).to_series() if differs else pl.Series([], dtype=pl.Boolean)
            )
            changed = both.filter(is_changed) if differs else both.head(0)
            by_column += np.array([apart.get_column(name).sum() for name in self._hashes], dtype=np.int64)
            counts["added"] += added.height
            counts["removed"] += removed.height
            counts["changed"] += changed.height
            counts["same"] += both.height - changed.height
            for kind, frame in (("added", added), ("removed", removed), ("changed", changed)):
                rows[kind].append(frame.bottom_k(SAMPLES, by=_ROW))
        columns = [ChangedColumn(name, int(n)) for name, n in zip(self._others, by_column, strict=True) if n]
        return RowDiff(
            key=key,
            **counts,
            columns=tuple(sorted(columns, key=lambda column: -column.rows)),
            samples=tuple(self._samples(rows)),
        )

    def _samples(self, rows: dict[str, list[pl.DataFrame]]) -> Iterable[RowSample]:
        kinds: tuple[RowChange, RowChange] = ("added", "removed")
        for kind in kinds:
            for row in _first(rows[kind]).iter_rows(named=True):
                yield RowSample(kind, _plain({name: row[name] for name in self._keys}))
        changed = _first(rows["changed"])
        if not changed.height:
            return
        new = _fetch(self._tables[1], changed.get_column(_ROW))
        old = _fetch(self._tables[0], changed.get_column(f"{_ROW}_before"))
        for row in changed.iter_rows(named=True):
            hashes = zip(self._others, self._hashes, strict=True)
            moved = [name for name, alias in hashes if row[alias] != row[f"{alias}_before"]]
            now, then = new[row[_ROW]], old[row[f"{_ROW}_before"]]
            yield RowSample(
                "changed",
                _plain({name: now[name] for name in (*self._keys, *moved)}),
                _plain({name: then[name] for name in moved}),
            )


class _Side:
    """The rows of one table, as expressions give them, with their number."""

    def __init__(self, table: Table, keys: list[str], wanted: list[pl.Expr]) -> None:
        self.columns = table.columns
        self.spill = KeySpill(keys)
        self._wanted = wanted

    def add(self, batch: Batch) -> None:
        """Take in the next rows."""
        rows = pl.int_range(batch.start, batch.start + batch.frame.height, dtype=pl.Int64, eager=True).alias(_ROW)
        self.spill.add(batch.frame.select(self._wanted).with_columns(rows))


def _in_parts(sides: Sequence[_Side]) -> Iterable[tuple[pl.DataFrame, pl.DataFrame]]:
    """The rows of both sides, part by part; equal keys are in the same one."""
    if any(side.spill.is_on_disk for side in sides):
        for side in sides:
            side.spill.flush()
    before, after = (dict(side.spill.parts()) for side in sides)
    for number in sorted(before.keys() | after.keys()):
        frames = [_joined(side.get(number, [])) for side in (before, after)]
        shape = next((frame for frame in frames if frame is not None), None)
        if shape is not None:
            yield tuple(shape.head(0) if frame is None else frame for frame in frames)  # type: ignore[misc]  # two of them


def _joined(pieces: Sequence[Path | pl.DataFrame]) -> pl.DataFrame | None:
    return pl.concat([load(piece) for piece in pieces]) if pieces else None


def _compare_wholes(old: Table, new: Table, shared: list[str]) -> RowDiff:
    """Rows as a multiset: the same row twice counts twice."""
    hashes = [_hash(name, old.schema[name], new.schema[name]) for name in shared]
    digest = pl.struct(hash_.alias(f"{_HASH}{n}") for n, hash_ in enumerate(hashes)).hash(seed=7).alias(_DIGEST)
    sides = [_Side(table, [_DIGEST], [digest]) for table in (old, new)]
    more = fewer = total = 0
    rows: dict[str, list[pl.DataFrame]] = {"added": [], "removed": []}
    try:
        for side, table in zip(sides, (old, new), strict=True):
            sweep(table, [side])
        for before, after in _in_parts(sides):
            counts = [frame.group_by(_DIGEST).agg(pl.len().cast(pl.Int64).alias("n")) for frame in (before, after)]
            both = counts[0].join(counts[1], on=_DIGEST, how="full", coalesce=True, suffix="_after").fill_null(0)
            balance = both.get_column("n_after") - both.get_column("n")
            more += int(balance.clip(0, None).sum())
            fewer -= int(balance.clip(None, 0).sum())
            total += after.height
            for kind, frame, odd in (("added", after, balance > 0), ("removed", before, balance < 0)):
                found = frame.join(both.filter(odd).select(_DIGEST), on=_DIGEST, how="semi")
                rows[kind].append(found.bottom_k(SAMPLES, by=_ROW))
    finally:
        for side in sides:
            side.spill.close()
    samples = (*_wholes("added", new, rows["added"], shared), *_wholes("removed", old, rows["removed"], shared))
    return RowDiff(key=None, added=more, removed=fewer, changed=0, same=total - more, samples=samples)


def _wholes(change: RowChange, table: Table, found: list[pl.DataFrame], shared: list[str]) -> list[RowSample]:
    numbers = _first(found)
    if not numbers.height:
        return []
    rows = _fetch(table, numbers.get_column(_ROW))
    return [RowSample(change, _plain({name: row[name] for name in shared})) for row in rows.values()]


def _first(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The first few of the rows of all parts."""
    if not frames:
        return pl.DataFrame(schema={_ROW: pl.Int64})
    return pl.concat(frames).bottom_k(SAMPLES, by=_ROW).sort(_ROW)


def _fetch(table: Table, rows: pl.Series) -> dict[int, dict[str, object]]:
    """Some rows by their number."""
    wanted, found = sorted(rows.to_list()), {}
    for batch in table.batches():
        here = [row for row in wanted if batch.start <= row < batch.start + batch.frame.height]
        found.update({row: batch.frame.row(row - batch.start, named=True) for row in here})
        if len(found) == len(set(wanted)):
            break
    return dict(sorted(found.items()))


def _hash(name: str, before: pl.DataType, after: pl.DataType) -> pl.Expr:
    """A number that differs where values do, in both tables alike; null for no value."""
    kinds = {kind_of(before), kind_of(after)}
    column = pl.col(name)
    if kinds == {"integer"} and pl.UInt64 not in (before, after):
        column = column.cast(pl.Int64)
    elif kinds <= set(_NUMBERS):
        column = column.cast(pl.Float64)
    elif before.is_nested() or after.is_nested() or "other" in kinds:
        column = column.map_batches(_as_texts, return_dtype=pl.String)
    elif before != after:
        column = column.cast(pl.String)
    return pl.when(column.is_not_null()).then(column.hash(seed=7))


def _as_texts(values: pl.Series) -> pl.Series:
    return pl.Series(values.name, [to_value(value) for value in values.to_list()], dtype=pl.String, strict=False)


def _plain(row: dict[str, object]) -> dict[str, Value]:
    return {name: shorten(to_value(value)) for name, value in row.items()}

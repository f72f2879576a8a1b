"""Leaks between the parts of a split: what stands on two sides that may stand on one only."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from penstock.datasets.checks.findings import SAMPLES, locate, show_cells
from penstock.datasets.checks.rules import key_columns
from penstock.datasets.checks.spill import KeySpill, load
from penstock.datasets.frames.table import Batch, Table, sweep
from penstock.datasets.splits.assign import NO_PART, Parts
from penstock.datasets.splits.types import LeakAction, SplitPart, SplitRecipe
from penstock.datasets.types import CheckResult, Sample

_PART, _ROW = "__part_of", "__row"
_SAME_ROW = "same row"


def find_leaks(
    table: Table, parts: Parts, recipe: SplitRecipe, sides: tuple[SplitPart, ...], action: LeakAction
) -> tuple[CheckResult, ...]:
    """Keys, entities and whole rows that stand in several parts, and rows of the past behind those of the future.

    Args:
        table: the rows.
        parts: the part of each.
        recipe: names the key and the entity.
        sides: the parts with the times of their rows.
        action: whether a key or an entity on both sides blocks.
    """
    keys = key_columns(recipe.key, table.columns) if recipe.key else []
    looks = []
    if keys:
        looks.append(_BothSides("same key", keys, parts))
    for column in dict.fromkeys((recipe.entity, recipe.column if recipe.by == "grouped" else None)):
        if column is not None:
            looks.append(_BothSides(f"same {column}", [column], parts))
    others = [name for name in table.columns if name not in keys and not table.schema[name].is_nested()]
    if others:
        looks.append(
            _BothSides(_SAME_ROW, others, parts, told="rows that differ in nothing but the key" if keys else "")
        )
    rows = sweep(table, looks)
    # Different things may look alike: rows that share all but their key are told, not refused.
    found = [look.tell(rows, "warn" if keys and look.name == _SAME_ROW else action) for look in looks]
    return (*found, *_future_in_the_past(sides, recipe))


class _BothSides:
    """Values that stand in more than one part."""

    def __init__(self, name: str, columns: list[str], parts: Parts, *, told: str = "") -> None:
        self.columns = columns
        self.name = name
        self._told = told or f"rows with the {name}"
        self._parts = parts
        self._spill = KeySpill(columns)

    def add(self, batch: Batch) -> None:
        """Look at the next rows."""
        part = self._parts[batch.start : batch.start + batch.frame.height]
        rows = np.arange(batch.start, batch.start + batch.frame.height, dtype=np.int64)
        numbered = batch.frame.select(self.columns).with_columns(pl.Series(_PART, part), pl.Series(_ROW, rows))
        is_whole = pl.any_horizontal(pl.col(self.columns).is_not_null())
        self._spill.add(numbered.filter(is_whole & (pl.col(_PART) != NO_PART)))

    def tell(self, rows: dict[str, int], action: LeakAction) -> CheckResult:
        """What was found."""
        try:
            shared = [frame for _, pieces in self._spill.parts() if (frame := self._shared(pieces)) is not None]
        finally:
            self._spill.close()
        failed = sum(frame.height for frame in shared)
        samples: tuple[Sample, ...] = ()
        if shared:
            first = (
                pl.concat([frame.bottom_k(SAMPLES, by=_ROW) for frame in shared]).bottom_k(SAMPLES, by=_ROW).sort(_ROW)
            )
            samples = tuple(
                Sample(*locate(int(first.item(place, _ROW)), rows), show_cells(first, place, self.columns))
                for place in range(first.height)
            )
        told = f"no {self._told} stand in two parts"
        if failed:
            told = f"{failed:,} {self._told} stand in two parts or more, as row {samples[0].row} of {samples[0].file}"
        return CheckResult(
            name=self.name,
            column=", ".join(self.columns) if len(self.columns) < 4 else None,
            action=action,
            passed=not failed,
            message=told,
            rows=len(self._parts),
            failed=failed,
            samples=samples,
        )

    def _shared(self, pieces: list[Path] | list[pl.DataFrame]) -> pl.DataFrame | None:
        frames = [load(piece) for piece in pieces]
        if not frames:
            return None
        part = pl.concat(frames)
        sides = part.group_by(self.columns).agg((pl.col(_PART).n_unique() > 1).alias("both"))
        both = sides.filter("both").select(self.columns)
        return part.join(both, on=self.columns, how="semi", nulls_equal=True) if both.height else None


def _future_in_the_past(sides: tuple[SplitPart, ...], recipe: SplitRecipe) -> Iterator[CheckResult]:
    """Whether a part holds rows from before the last row of the parts in front of it."""
    latest: datetime | None = None
    odd = []
    for side in sides:
        if latest is not None and side.time_start is not None and side.time_start < latest:
            odd.append(f"{side.name} begins at {side.time_start:%Y-%m-%d %H:%M}, before the parts in front of it end")
        if side.time_end is not None:
            latest = side.time_end if latest is None else max(latest, side.time_end)
    if latest is None:
        return
    told = "; ".join(odd) or "each part begins after those in front of it"
    yield CheckResult(name="future in the past", column=recipe.time, action="warn", passed=not odd, message=told)

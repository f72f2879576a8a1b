"""Makes a split of a version: parts its rows, looks for leaks, stores which row belongs where."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import structs

from penstock.core.errors import InvalidInputError
from penstock.core.ids import check_name
from penstock.datasets.checks.rules import key_columns
from penstock.datasets.frames import check_column, open_version, times_of
from penstock.datasets.frames.table import Table
from penstock.datasets.splits.assign import NO_PART, Parts, assign_by_chance, assign_by_strata, assign_by_time
from penstock.datasets.splits.leaks import find_leaks
from penstock.datasets.splits.types import MOST_PARTS, LeakAction, SplitDraft, SplitLeakError, SplitPart, SplitRecipe
from penstock.datasets.types import DatasetVersion
from penstock.storage.objects.object_store import ObjectStore

PARTS_FILE = "parts.parquet"


def make_split(
    objects: ObjectStore, version: DatasetVersion, recipe: SplitRecipe, *, leaks: LeakAction = "block"
) -> SplitDraft:
    """Part the rows of a version.

    Args:
        objects: where its files are kept, and the split will be.
        version: which.
        recipe: how; key and time are those of the dataset where it names none.
        leaks: whether what stands on two sides is refused, or only told.

    Raises:
        SplitLeakError: something stands on two sides.
        InvalidInputError: the recipe does not suit the version, or leaves a part without rows.
    """
    recipe = _complete(recipe, version)
    with open_version(objects, version) as table:
        parts, recipe = _assign(table, recipe)
        sides = _describe(table, parts, recipe)
        found = find_leaks(table, parts, recipe, sides, leaks)
    if any(leak.blocks for leak in found):
        raise SplitLeakError(found)
    with tempfile.TemporaryDirectory(prefix="penstock-split-") as folder:
        file = Path(folder) / PARTS_FILE
        pl.DataFrame({"part": parts}).write_parquet(file)
        tree = objects.put_files({PARTS_FILE: file})
    return SplitDraft(
        version=version.version,
        recipe=recipe,
        tree=tree,
        parts=sides,
        left_out=int((parts == NO_PART).sum()),
        leaks=found,
    )


def _complete(recipe: SplitRecipe, version: DatasetVersion) -> SplitRecipe:
    """The recipe with all it needs, checked."""
    key, time = recipe.key or version.roles.key, recipe.time or version.roles.time
    recipe = structs.replace(recipe, key=key, time=time, shares=recipe.shares or _equal_shares(recipe))
    names = version.schema.names
    for name in (*(key_columns(key, names) if key else ()), time, recipe.column, recipe.entity):
        if name is not None:
            check_column(name, names, f"dataset {version.dataset!r}")
    _check_parts(recipe)
    if recipe.by in ("stratified", "grouped") and recipe.column is None:
        raise InvalidInputError(f"a {recipe.by} split needs a column", hint="name it with --column")
    if recipe.by == "time" and time is None:
        raise InvalidInputError("a split by time needs a time column", hint="name it with --time")
    if recipe.by != "time" and (recipe.cuts or recipe.gap):
        raise InvalidInputError("only a split by time has cuts and a gap", hint="take --by time")
    return recipe


def _equal_shares(recipe: SplitRecipe) -> tuple[float, ...]:
    if recipe.by == "time" and recipe.cuts:
        return ()
    return (0.8, 0.2) if len(recipe.parts) == 2 else (1 / max(len(recipe.parts), 1),) * len(recipe.parts)


def _check_parts(recipe: SplitRecipe) -> None:
    count = len(recipe.parts)
    if not 2 <= count <= MOST_PARTS or len(set(recipe.parts)) < count:
        raise InvalidInputError(
            f"a split has 2 to {MOST_PARTS} parts with names of their own, not {list(recipe.parts)}"
        )
    for name in recipe.parts:
        check_name(name, "part")
    given = len(recipe.cuts) + 1 if recipe.cuts else len(recipe.shares)
    if given != count:
        raise InvalidInputError(f"{count} parts are named, and {given} asked for", hint="name them with --parts")
    if not recipe.cuts and abs(sum(recipe.shares) - 1) > 1e-6:
        raise InvalidInputError(f"the shares {list(recipe.shares)} add up to {sum(recipe.shares):g}, not to 1")
    if any(later <= sooner for sooner, later in zip(recipe.cuts, recipe.cuts[1:], strict=False)):
        raise InvalidInputError("each cut has to be later than the one before")


def _assign(table: Table, recipe: SplitRecipe) -> tuple[Parts, SplitRecipe]:
    if recipe.by == "time":
        parts, cuts = assign_by_time(table, recipe)
        return parts, structs.replace(recipe, cuts=cuts)
    if recipe.by == "stratified":
        return assign_by_strata(table, recipe), recipe
    return assign_by_chance(table, recipe), recipe


def _describe(table: Table, parts: Parts, recipe: SplitRecipe) -> tuple[SplitPart, ...]:
    ends = _ends(table, parts, recipe)
    counts = np.bincount(parts, minlength=NO_PART + 1)
    sides = []
    for number, name in enumerate(recipe.parts):
        start, end = ends.get(number, (None, None))
        sides.append(SplitPart(name=name, rows=int(counts[number]), time_start=start, time_end=end))
    empty = [side.name for side in sides if not side.rows]
    if empty:
        raise InvalidInputError(f"no row would be in {' or '.join(empty)}", hint="take other shares, or other cuts")
    return tuple(sides)


def _ends(table: Table, parts: Parts, recipe: SplitRecipe) -> dict[int, tuple[datetime, datetime]]:
    """The first and last moment of each part."""
    if recipe.time is None:
        return {}
    ends: dict[int, tuple[datetime, datetime]] = {}
    for batch in table.batches([recipe.time]):
        times = times_of(batch.frame.get_column(recipe.time))
        if times is None:
            return {}
        here = pl.DataFrame({"part": parts[batch.start : batch.start + len(times)], "at": times}).drop_nulls()
        for part, low, high in here.group_by("part").agg(low=pl.col("at").min(), high=pl.col("at").max()).iter_rows():
            known = ends.get(part, (low, high))
            ends[part] = (min(known[0], low).astimezone(UTC), max(known[1], high).astimezone(UTC))
    return ends

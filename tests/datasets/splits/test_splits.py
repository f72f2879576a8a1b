"""Splits part every row once, in the same way each time, and notice what stands on two sides."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import open_database
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Ref
from penstock.core.project.types import DataSection
from penstock.datasets.frames.table import table_of
from penstock.datasets.ingest import add_version
from penstock.datasets.service import DatasetService
from penstock.datasets.splits.assign import NO_PART, assign_by_chance, assign_by_strata, assign_by_time
from penstock.datasets.splits.make import make_split
from penstock.datasets.splits.read import read_part
from penstock.datasets.splits.types import SplitDraft, SplitLeakError, SplitRecipe
from penstock.datasets.types import DatasetVersion
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from penstock.storage.references import list_kept

N = 400
ROWS = pl.DataFrame(
    {
        "id": range(N),
        "customer": [n // 4 for n in range(N)],
        "plan": ["rare" if n % 20 == 0 else "common" for n in range(N)],
        "at": [datetime(2026, 1, 1) + timedelta(hours=n) for n in range(N)],
    }
)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.fixture
def service(tmp_path: Path) -> DatasetService:
    return DatasetService(open_database(tmp_path))


@pytest.fixture
def version(tmp_path: Path, objects: ObjectStore, service: DatasetService) -> DatasetVersion:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    section = DataSection(source="rows.parquet", key="id", time="at")
    return add_version(service, objects, "visits", section, tmp_path)


def by_chance(frame: pl.DataFrame, **recipe: Any) -> list[int]:
    recipe = {"shares": (0.8, 0.2), "key": "id"} | recipe
    return assign_by_chance(table_of(frame, "a"), SplitRecipe(**recipe)).tolist()


@settings(deadline=None)
@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=60), st.integers(0, 5), st.data())
def test_a_row_keeps_its_part_when_others_come_and_go(keys: set[int], seed: int, data: st.DataObject) -> None:
    frame = pl.DataFrame({"id": sorted(keys)})
    whole = dict(zip(sorted(keys), by_chance(frame, seed=seed), strict=True))
    some = data.draw(st.permutations(sorted(keys)))[: len(keys) // 2 + 1]
    again = by_chance(pl.DataFrame({"id": some}, schema={"id": pl.Int32}), seed=seed)
    assert again == [whole[key] for key in some]


def test_the_parts_are_the_same_on_every_machine() -> None:
    assert by_chance(pl.DataFrame({"id": range(12)})) == [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    texts = pl.DataFrame({"id": ["a", None, "-", "", "b", "é"]})
    assert by_chance(texts, shares=(0.5, 0.5), seed=5) == [0, 1, 0, 1, 0, 1]


def test_shares_are_met_and_another_seed_parts_otherwise() -> None:
    frame = pl.DataFrame({"id": range(20_000)})
    parts = np.array(by_chance(frame, shares=(0.5, 0.3, 0.2), parts=("a", "b", "c")))
    assert [float(np.mean(parts == n)) for n in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.015)
    assert by_chance(frame, shares=(0.5, 0.3, 0.2), parts=("a", "b", "c"), seed=1) != parts.tolist()


def test_groups_stay_together() -> None:
    parts = by_chance(ROWS, by="grouped", column="customer")
    assert max(Counter(zip(parts, ROWS["customer"], strict=True)).values()) == 4
    assert len({(part, customer) for part, customer in zip(parts, ROWS["customer"], strict=True)}) == N // 4


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=80), st.floats(0.1, 0.9))
def test_each_stratum_has_its_shares_to_within_a_row(values: list[str | None], share: float) -> None:
    frame = pl.DataFrame({"id": range(len(values)), "plan": pl.Series(values, dtype=pl.String)})
    recipe = SplitRecipe(by="stratified", column="plan", key="id", shares=(share, 1 - share))
    parts = assign_by_strata(table_of(frame, "a"), recipe).tolist()
    for value in set(values):
        mine = [part for part, each in zip(parts, values, strict=True) if each == value]
        assert abs(mine.count(0) - share * len(mine)) <= 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=5, max_size=60), st.floats(0.2, 0.8), st.integers(0, 3))
def test_by_time_nothing_of_the_future_lies_in_the_past(hours: list[int], share: float, gap: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    at = [start + timedelta(hours=hour) for hour in hours]
    recipe = SplitRecipe(by="time", time="at", shares=(share, 1 - share), gap=timedelta(hours=gap) if gap else None)
    table = table_of(pl.DataFrame({"at": pl.Series(at, dtype=pl.Datetime("us", "UTC"))}), "a")
    if len(set(hours)) < 2:
        with pytest.raises(InvalidInputError, match="too few different moments"):
            assign_by_time(table, recipe)
        return
    parts, (cut,) = assign_by_time(table, recipe)
    for moment, part in zip(at, parts.tolist(), strict=True):
        assert part == (1 if moment >= cut else NO_PART if moment >= cut - timedelta(hours=gap) else 0)
    shares = {float(np.mean([moment < edge for moment in at])) for edge in at} - {0.0}
    closest = min(abs(each - share) for each in shares)
    assert abs(float(np.mean([moment < cut for moment in at])) - share) == pytest.approx(closest)


def test_a_split_is_recorded_once_kept_and_read_again(
    objects: ObjectStore, service: DatasetService, version: DatasetVersion
) -> None:
    recipe = SplitRecipe(by="grouped", column="customer", shares=(0.7, 0.3))
    split = service.record_split("visits", "mine", make_split(objects, version, recipe))
    assert service.record_split("visits", "mine", make_split(objects, version, recipe)) == split
    assert service.get_split("visits", "mine") == split and service.list_splits("visits") == [split]
    assert (split.version, split.recipe.key, split.recipe.time) == (1, "id", "at")
    parts = {part.name: read_part(objects, version, split, part.name) for part in split.parts}
    assert {name: frame.height for name, frame in parts.items()} == {part.name: part.rows for part in split.parts}
    assert pl.concat(parts.values()).sort("id").equals(ROWS)
    assert read_part(objects, version, split, "test", columns=["plan"]).columns == ["plan"]
    assert {(owner, digest) for owner, digest in service.db.read(list_kept) if owner.kind == "split"} == {
        (Ref("split", "visits/1/mine"), split.tree),
        (Ref("split", "visits/1/mine"), version.tree),
    }
    other = SplitRecipe(by="grouped", column="customer", shares=(0.6, 0.4))
    with pytest.raises(ConflictError, match="another split 'mine' already; take another name"):
        service.record_split("visits", "mine", make_split(objects, version, other))
    with pytest.raises(NotFoundError, match="no part 'tst'; did you mean 'test'"):
        read_part(objects, version, split, "tst")
    with pytest.raises(NotFoundError, match="no split 'yours'"):
        service.get_split("visits", "yours")


def split_of(objects: ObjectStore, version: DatasetVersion, leaks: Any = "block", **recipe: Any) -> SplitDraft:
    return make_split(objects, version, SplitRecipe(**recipe), leaks=leaks)


def test_by_time_and_with_a_gap(objects: ObjectStore, version: DatasetVersion) -> None:
    draft = split_of(
        objects, version, by="time", parts=("a", "b", "c"), shares=(0.5, 0.25, 0.25), gap=timedelta(hours=9)
    )
    assert [part.rows for part in draft.parts] == [191, 91, 100] and draft.left_out == 18
    assert all(leak.passed for leak in draft.leaks)
    cut = datetime(2026, 1, 5, tzinfo=UTC)
    draft = split_of(objects, version, by="time", cuts=(cut,))
    assert draft.parts[1].time_start == cut and draft.parts[0].rows == 96


def test_an_entity_on_two_sides_is_refused_or_told(objects: ObjectStore, version: DatasetVersion) -> None:
    with pytest.raises(SplitLeakError, match="rows with the same customer stand in two parts or more") as caught:
        split_of(objects, version, entity="customer")
    leak = next(leak for leak in caught.value.leaks if leak.name == "same customer")
    assert leak.failed > 0 and len(leak.samples) == 5
    draft = split_of(objects, version, "warn", entity="customer")
    assert {leak.name: leak.passed for leak in draft.leaks} == {
        "same key": True,
        "same customer": False,
        "same row": True,
        "future in the past": False,
    }


def test_the_same_key_on_two_sides_is_refused(tmp_path: Path, objects: ObjectStore, service: DatasetService) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    version = add_version(service, objects, "visits", DataSection(source="rows.parquet", time="at"), tmp_path)
    with pytest.raises(SplitLeakError, match="rows with the same key stand in two parts"):
        split_of(objects, version, by="time", key="plan", shares=(0.5, 0.5))


def test_rows_that_are_alike_are_found(tmp_path: Path, objects: ObjectStore, service: DatasetService) -> None:
    frame = pl.DataFrame({"id": range(100), "x": [n % 50 for n in range(100)]})
    frame.write_csv(tmp_path / "rows.csv")
    version = add_version(service, objects, "v", DataSection(source="rows.csv", key="id"), tmp_path)
    found = {leak.name: leak for leak in split_of(objects, version, shares=(0.5, 0.5)).leaks}
    assert not found["same row"].passed and "differ in nothing but the key" in found["same row"].message
    assert found["same row"].action == "warn"
    frame.select("x").write_csv(tmp_path / "rows.csv")
    keyless = add_version(service, objects, "w", DataSection(source="rows.csv"), tmp_path)
    assert all(leak.passed for leak in split_of(objects, keyless, shares=(0.5, 0.5)).leaks)


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ({"shares": (0.5, 0.4)}, "add up to 0.9, not to 1"),
        ({"shares": (0.5, 0.25, 0.25)}, "2 parts are named, and 3 asked for"),
        ({"parts": ("a", "a")}, "names of their own"),
        ({"parts": ("a",)}, "2 to 20 parts"),
        ({"parts": ("a", "b c")}, "cannot name a part"),
        ({"by": "grouped"}, "needs a column"),
        ({"column": "plon"}, "no column 'plon'; did you mean 'plan'"),
        ({"gap": timedelta(days=1)}, "only a split by time"),
        ({"by": "time", "time": "plan"}, "are no times"),
        ({"by": "time", "cuts": (datetime(2025, 1, 1, tzinfo=UTC),)}, "no row would be in train"),
        (
            {"by": "time", "parts": ("a", "b", "c"), "cuts": (datetime(2026, 1, 2, tzinfo=UTC),) * 2},
            "later than the one before",
        ),
    ],
)
def test_a_recipe_that_cannot_be_followed_says_why(
    objects: ObjectStore, version: DatasetVersion, recipe: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInputError, match=told):
        split_of(objects, version, **recipe)

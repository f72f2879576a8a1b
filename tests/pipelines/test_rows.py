"""Which rows a step reads: all of a version, or those of a span of time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import DataSection
from penstock.datasets.ingest import ingest
from penstock.datasets.types import DatasetVersion, Roles
from penstock.pipelines.values import rows
from penstock.pipelines.values.rows import Rows
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def make_version(folder: Path, objects: ObjectStore) -> DatasetVersion:
    days = "\n".join(f"{(DAY + timedelta(days=n)).isoformat()},{n}" for n in range(10))
    (folder / "days.csv").write_text(f"day,n\n{days}\n")
    draft = ingest(objects, DataSection(source="days.csv", time="day"), folder, None)
    return DatasetVersion(
        dataset="days",
        version=3,
        source=draft.source,
        tree=draft.tree,
        roles=draft.roles,
        schema=draft.schema,
        profile=draft.profile,
        files=draft.files,
        rows=10,
        size=1,
        time_start=draft.time_start,
        time_end=draft.time_end,
        created_at=DAY,
        created_by="somebody",
    )


def test_a_span_of_time_chooses_rows(tmp_path: Path) -> None:
    objects = open_object_store(tmp_path / "objects")
    version = make_version(tmp_path, objects)
    stored = rows.write(Rows(version, DAY + timedelta(days=4), DAY + timedelta(days=7)), objects)
    assert rows.read(stored, objects)["n"].to_list() == [4, 5, 6]
    assert stored.about == "days/3 from 2026-01-05 00:00 until 2026-01-08 00:00"
    assert rows.read(rows.write(Rows(version), objects), objects).height == 10


def test_equal_content_is_an_equal_input_whatever_its_version_is_called(tmp_path: Path) -> None:
    objects = open_object_store(tmp_path / "objects")
    version = make_version(tmp_path, objects)
    later = structs.replace(version, version=5, created_by="another", created_at=DAY + timedelta(days=1))
    same = rows.write(Rows(version), objects), rows.write(Rows(later), objects)
    assert same[0].identity == same[1].identity
    assert rows.write(Rows(version, DAY), objects).identity != same[0].identity


def test_weighted_rows_count_half_for_each_half_life_and_need_a_time(tmp_path: Path) -> None:
    objects = open_object_store(tmp_path / "store")
    version = make_version(tmp_path, objects)
    stored = rows.write(Rows(version, half_life=timedelta(days=2)), objects)
    assert rows.read(stored, objects)["sample_weight"].to_list()[-3:] == [0.5, 0.5**0.5, 1.0]
    assert "2 d for half" in stored.about
    untimed = rows.write(Rows(structs.replace(version, roles=Roles()), half_life=timedelta(days=2)), objects)
    with pytest.raises(InvalidInputError, match="no column of time"):
        rows.read(untimed, objects)


def test_at_most_so_many_rows_are_evenly_spread_or_those_of_some_keys(tmp_path: Path) -> None:
    objects = open_object_store(tmp_path / "objects")
    version = make_version(tmp_path, objects)
    lines = "\n".join(f"{(DAY + timedelta(days=n)).isoformat()},{n},c{n % 10}" for n in range(100))
    (tmp_path / "days.csv").write_text(f"day,n,who\n{lines}\n")
    draft = ingest(objects, DataSection(source="days.csv", time="day"), tmp_path, None)
    version = structs.replace(version, files=draft.files, schema=draft.schema, tree=draft.tree, rows=100)
    few = rows.read(rows.write(Rows(version, most=20), objects), objects)
    assert few["n"].to_list() == list(range(0, 100, 5))
    some = rows.read(rows.write(Rows(version, most=20, by="who"), objects), objects)
    assert some.height == 20 and some["who"].n_unique() == 2, "all rows of some of the customers"
    assert rows.read(rows.write(Rows(version, most=100, by="who"), objects), objects).height == 100

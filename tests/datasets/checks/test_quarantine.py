"""Rows that break a check are put aside with their reasons; the others are let in as they were written."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import open_database
from penstock.core.errors import InvalidInputError
from penstock.core.ids import Ref
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets.checks.quarantine import _part_text
from penstock.datasets.frames import read_version
from penstock.datasets.ingest import add_version, ingest
from penstock.datasets.service import DatasetService
from penstock.datasets.types import DatasetChecksError
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from penstock.storage.references import list_kept

CHECKS = (
    CheckSection(column="n", between=(0, 9), action="quarantine"),
    CheckSection(column="id", unique=True, action="quarantine"),
)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.fixture
def service(tmp_path: Path) -> DatasetService:
    return DatasetService(open_database(tmp_path))


def section(source: str) -> DataSection:
    return DataSection(source=source, checks=CHECKS)


def test_bad_rows_are_put_aside_and_the_good_ones_stay_as_written(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "a.csv").write_bytes(b'id,n,note\r\n1,1.50,"two\r\nlines"\r\n2,77,"a ""b"""\r\n3,,x\r\n')
    (tmp_path / "b.csv").write_bytes(b"id,n,note\n4,4,y\n4,44,z")
    (tmp_path / "c.csv").write_bytes(b"id,n,note\n5,5,fine\n")
    version = add_version(service, objects, "t", section("*.csv"), tmp_path)
    kept = {path: objects.get_bytes(entry.digest) for path, entry in objects.list_files(version.tree)}
    assert kept == {
        "a.csv": b'id,n,note\r\n1,1.50,"two\r\nlines"\r\n3,,x\r\n',
        "b.csv": b"id,n,note\n",
        "c.csv": b"id,n,note\n5,5,fine\n",
    }
    assert [(file.path, file.rows, file.quarantined) for file in version.files] == [
        ("a.csv", 2, 1),
        ("b.csv", 0, 2),
        ("c.csv", 1, 0),
    ]
    assert version.rows == 3 and read_version(objects, version).get_column("id").to_list() == [1, 3, 5]
    report = service.latest_checks("t")
    assert report is not None and report.passed and report.rows == 6 and report.quarantine is not None
    assert report.quarantine.rows == 3
    aside = {path: objects.get_bytes(entry.digest) for path, entry in objects.list_files(report.quarantine.tree)}
    assert aside.keys() == {"a.csv", "b.csv", "reasons.jsonl"}
    assert aside["a.csv"] == b'id,n,note\r\n2,77,"a ""b"""\r\n' and aside["b.csv"] == b"id,n,note\n4,4,y\n4,44,z\n"
    assert [json.loads(line) for line in aside["reasons.jsonl"].splitlines()] == [
        {"file": "a.csv", "row": 2, "quarantine_row": 1, "checks": ["n between"]},
        {"file": "b.csv", "row": 1, "quarantine_row": 1, "checks": ["id unique"]},
        {"file": "b.csv", "row": 2, "quarantine_row": 2, "checks": ["n between", "id unique"]},
    ]


def test_what_was_put_aside_is_kept_and_is_in_the_lineage(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "a.csv").write_text("id,n\n1,1\n2,77\n")
    first = add_version(service, objects, "t", section("a.csv"), tmp_path)
    (tmp_path / "a.csv").write_text("id,n\n1,1\n2,78\n")
    again = add_version(service, objects, "t", section("a.csv"), tmp_path)
    assert again == first  # the rows that were let in are the same
    reports = service.list_check_reports("t")
    assert [report.version for report in reports] == [1, 1]
    trees = [report.quarantine.tree for report in reports if report.quarantine]
    assert len(set(trees)) == 2
    assert set(service.db.read(list_kept)) == {
        (first.ref, first.tree),
        (Ref("quarantine", "t/2"), trees[0]),
        (Ref("quarantine", "t/1"), trees[1]),
    }


def test_files_that_are_refused_are_kept_until_the_next_ones_are_let_in(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    strict = DataSection(source="a.csv", checks=(CheckSection(column="n", between=(0, 9)),))
    refused = []
    for number in (77, 78):
        (tmp_path / "a.csv").write_text(f"id,n\n1,1\n2,{number}\n")
        with pytest.raises(DatasetChecksError) as caught:
            add_version(service, objects, "t", strict, tmp_path)
        refused.append((Ref("check-report", f"t/{number - 76}"), caught.value.report.tree))
    assert set(service.db.read(list_kept)) == set(refused)
    (tmp_path / "a.csv").write_text("id,n\n1,1\n2,7\n")
    good = add_version(service, objects, "t", strict, tmp_path)
    assert service.db.read(list_kept) == [(good.ref, good.tree)]
    (tmp_path / "a.csv").write_text("id,n\n1,1\n2,79\n")
    with pytest.raises(DatasetChecksError):
        add_version(service, objects, "t", strict, tmp_path)
    assert len(service.db.read(list_kept)) == 2
    (tmp_path / "a.csv").write_text("id,n\n1,1\n2,7\n")
    assert add_version(service, objects, "t", strict, tmp_path) == good
    assert service.db.read(list_kept) == [(good.ref, good.tree)]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "jsonl", "parquet"])
def test_every_kind_of_file_can_be_parted(tmp_path: Path, objects: ObjectStore, ending: str) -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "n": [5, 50, None]})
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        frame.write_parquet(path)
    elif ending == "jsonl":
        frame.write_ndjson(path)
    else:
        text = frame.write_csv(separator="\t" if ending == "tsv" else ",").encode()
        path.write_bytes(gzip.compress(text) if ending == "csv.gz" else text)
    draft = ingest(objects, section(path.name), tmp_path)
    assert (draft.profile.rows, draft.files[0].quarantined) == (2, 1)
    assert draft.report.quarantine is not None and draft.report.quarantine.rows == 1


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-5, 14), st.text('ab",\n\r;', max_size=4)),
        min_size=1,
        max_size=12,
        unique_by=lambda r: r[1],
    )
)
def test_no_row_is_lost_or_doubled(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]) -> None:
    folder = tmp_path_factory.mktemp("parted")
    frame = pl.DataFrame({"id": range(len(rows)), "n": [n for n, _ in rows], "note": [text for _, text in rows]})
    frame.write_csv(folder / "t.csv", quote_style="always")
    objects = open_object_store(folder / "objects")
    good = frame.filter(pl.col("n").is_between(0, 9)).height
    if not good:
        with pytest.raises(DatasetChecksError, match="would be put aside, and none be left"):
            ingest(objects, section("t.csv"), folder)
        return
    draft = ingest(objects, section("t.csv"), folder)
    aside = draft.report.quarantine
    assert draft.profile.rows == good and (aside.rows if aside else 0) == frame.height - good


def test_a_blocking_check_still_blocks(tmp_path: Path, objects: ObjectStore) -> None:
    (tmp_path / "a.csv").write_text("id,n\n1,1\n2,77\n3,1\n4,5\n")
    strict = DataSection(source="a.csv", checks=(*CHECKS, CheckSection(column="n", allowed=(1,))))
    with pytest.raises(DatasetChecksError, match="1 check keeps these 4 rows out") as caught:
        ingest(objects, strict, tmp_path)
    (found,) = [result for result in caught.value.report.failures if result.blocks]
    assert [(sample.row, sample.value) for sample in found.samples] == [(4, 5)]  # as the source counts its rows


def test_what_was_put_aside_is_no_longer_in_the_way(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "a.csv").write_text("id,n\n1,1\n2,77\n")
    (tmp_path / "mended.csv").write_text("id,n\n2,7\n")
    keyed = DataSection(source="*.csv", key="id", checks=CHECKS[:1])
    version = add_version(service, objects, "t", keyed, tmp_path)
    assert read_version(objects, version).rows() == [(1, 1), (2, 7)]
    report = service.latest_checks("t")
    assert report is not None and report.passed
    assert {result.name: result.passed for result in report.results} == {
        "key not_null": True,
        "key unique": True,
        "n between": False,
    }


def test_rows_that_cannot_be_told_apart_are_named(tmp_path: Path, objects: ObjectStore) -> None:
    source = tmp_path / "a.csv"
    source.write_text('id,n\n1,"1\n2,7"\n')
    bad = np.array([False, True])
    with pytest.raises(InvalidInputError, match=r"rows of a\.csv cannot be put aside: it has 2 rows, and 1 where"):
        _part_text("a.csv", source, bad, tmp_path / "kept.csv", tmp_path / "aside.csv")

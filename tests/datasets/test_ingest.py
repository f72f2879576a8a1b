"""From files to a version: stored, described, checked; nothing bad gets in."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from factories import open_database
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Ref
from penstock.core.project.types import CheckSection, DataSection, VolumeBounds
from penstock.datasets.frames import read_version
from penstock.datasets.ingest import add_version, ingest
from penstock.datasets.service import DatasetService
from penstock.datasets.sources.fetching import find_files
from penstock.datasets.types import DatasetChecksError, DatasetVersion
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from penstock.storage.references import list_kept

ORDERS = """order_id,day,country,amount,is_new
1,2026-01-01,NL,10.5,true
2,2026-01-02,DE,20.0,false
3,2026-01-03,NL,,true
"""


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.fixture
def service(tmp_path: Path) -> DatasetService:
    return DatasetService(open_database(tmp_path))


def section(**fields: object) -> DataSection:
    return DataSection(**({"source": "orders.csv"} | fields))  # type: ignore[arg-type]


def add(service: DatasetService, objects: ObjectStore, root: Path, data: DataSection | None = None) -> DatasetVersion:
    return add_version(service, objects, "orders", data or section(key="order_id", time="day"), root)


def test_a_file_becomes_a_version_with_schema_profile_and_times(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    version = add(service, objects, tmp_path)
    assert (version.version, version.rows, version.size) == (1, 3, len(ORDERS))
    assert [(c.name, c.kind, c.nullable) for c in version.schema.columns] == [
        ("order_id", "integer", False),
        ("day", "date", False),
        ("country", "text", False),
        ("amount", "number", True),
        ("is_new", "boolean", False),
    ]
    amount, country = version.profile.find("amount"), version.profile.find("country")
    assert amount is not None and country is not None
    assert (amount.nulls, amount.minimum, amount.maximum, amount.mean) == (1, 10.5, 20.0, 15.25)
    assert [(top.value, top.rows) for top in country.top] == [("NL", 2), ("DE", 1)]
    assert version.time_start == datetime(2026, 1, 1, tzinfo=UTC)
    assert version.time_end == datetime(2026, 1, 3, tzinfo=UTC)
    assert service.get_version("orders") == service.get_version("orders", 1) == version


def test_the_same_content_gives_the_same_version(tmp_path: Path, objects: ObjectStore, service: DatasetService) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    first = add(service, objects, tmp_path)
    assert add(service, objects, tmp_path) == first
    (tmp_path / "orders.csv").write_text(ORDERS + "4,2026-01-04,FR,1.0,true\n")
    assert add(service, objects, tmp_path).version == 2
    (tmp_path / "orders.csv").write_text(ORDERS)
    third = add(service, objects, tmp_path)
    assert (third.version, third.tree) == (3, first.tree)
    assert [summary.version for summary in service.list_versions("orders")] == [3, 2, 1]
    assert [(found.name, found.versions, found.latest.version) for found in service.list_datasets()] == [
        ("orders", 3, 3)
    ]


def test_a_version_keeps_its_objects_and_names_its_source(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    version = add(service, objects, tmp_path)
    assert service.db.read(list_kept) == [(version.ref, version.tree)]
    edges = []
    draft = ingest(objects, section(key="order_id", time="day"), tmp_path, None)

    def look(tx: object) -> None:
        DatasetService.record_version.fn(service, tx, "again", draft)
        edges.extend((edge.source, edge.target, edge.relation) for edge in tx.edges)  # type: ignore[attr-defined]

    service.db.write(look)
    assert edges == [(Ref("source", "orders.csv"), Ref("dataset-version", "again/1"), "ingested")]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "jsonl", "ndjson", "parquet"])
def test_every_kind_of_table_reads_the_same(
    tmp_path: Path, objects: ObjectStore, service: DatasetService, ending: str
) -> None:
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, 1.5, None]})
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        frame.write_parquet(path)
    elif ending in ("jsonl", "ndjson"):
        frame.write_ndjson(path)
    else:
        text = frame.write_csv(separator="\t" if ending == "tsv" else ",")
        path.write_bytes(gzip.compress(text.encode()) if ending == "csv.gz" else text.encode())
    version = add_version(service, objects, "t", section(source=path.name), tmp_path)
    path.unlink()
    assert read_version(objects, version).equals(frame)


def test_files_of_a_pattern_are_one_table_in_order(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    root = tmp_path / "a [b]"  # characters of patterns in the root mean nothing
    for month in (2, 1, 10):
        path = root / "data" / "2026" / f"{month:02}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"month,n\n{month},1\n{month},2\n")
    version = add_version(service, objects, "months", section(source="data/**/*.csv"), root)
    assert [file.path for file in version.files] == ["2026/01.csv", "2026/02.csv", "2026/10.csv"]
    assert [file.rows for file in version.files] == [2, 2, 2]
    assert read_version(objects, version).get_column("month").to_list() == [1, 1, 2, 2, 10, 10]


def test_files_with_other_columns_do_not_fit(tmp_path: Path, objects: ObjectStore) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(InvalidInputError, match=r"2\.csv and 1\.csv differ in the columns b, c"):
        ingest(objects, section(source="*.csv"), tmp_path, None)


@pytest.mark.parametrize(
    ("source", "error", "told"),
    [
        ("none.csv", NotFoundError, r"no file 'none\.csv'"),
        ("*.parquet", NotFoundError, "no file"),
        ("s3://b/x.csv", InvalidInputError, "cannot be read"),
        ("folder", InvalidInputError, "is a folder"),
        ("notes.txt", InvalidInputError, "tables are .csv"),
    ],
)
def test_a_source_that_is_not_there_or_no_table_is_named(
    tmp_path: Path, source: str, error: type[Exception], told: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(error, match=told):
        find_files(source, tmp_path)


@pytest.mark.parametrize(
    ("name", "body"), [("t.parquet", b"no parquet"), ("t.jsonl", b"{"), ("t.csv", b""), ("t.csv", b"a,a\n1,2\n")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, objects: ObjectStore, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(InvalidInputError, match=name):
        ingest(objects, section(source=name), tmp_path, None)


def test_columns_to_be_masked_are_not_stored_in_clear(tmp_path: Path, objects: ObjectStore) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    with pytest.raises(InvalidInputError, match="country are to be masked"):
        ingest(objects, section(mask={"country": "hash"}), tmp_path, None)
    assert objects.verify().objects == 0


def test_data_that_fails_a_check_is_no_version_but_leaves_its_report(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    strict = section(checks=(CheckSection(column="amount", not_null=True, between=(0, 15)),))
    with pytest.raises(DatasetChecksError) as caught:
        add(service, objects, tmp_path, strict)
    assert str(caught.value) == (
        "2 checks keep these 3 rows out: amount must have a value, and 1 of 3 rows (33.33%) break this: "
        "row 3 of orders.csv: None; amount must lie between 0 and 15, and 1 of 3 rows (33.33%) break this: "
        "row 2 of orders.csv: 20.0; mend the rows, or change the check in penstock.toml"
    )
    assert service.find_latest("orders") is None and service.list_datasets() == []
    report = service.latest_checks("orders")
    assert report is not None and not report.passed and report.version is None
    assert report.results == caught.value.report.results
    with pytest.raises(NotFoundError, match="no dataset 'orders'"):
        service.get_version("orders")


def test_warnings_let_the_data_in(tmp_path: Path, objects: ObjectStore, service: DatasetService) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    lenient = section(checks=(CheckSection(column="amount", not_null=True, action="warn"),))
    version = add(service, objects, tmp_path, lenient)
    report = service.latest_checks("orders")
    assert report is not None and report.passed and report.version == version.version
    assert [result.failed for result in report.failures] == [1]


def test_a_column_that_vanished_blocks_and_one_that_came_warns(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    add(service, objects, tmp_path)
    (tmp_path / "orders.csv").write_text("order_id,day,country,is_new,extra\n1,2026-01-01,NL,true,1\n")
    with pytest.raises(DatasetChecksError, match=r"column amount \(number\) was removed"):
        add(service, objects, tmp_path)
    found = service.latest_checks("orders")
    assert found is not None
    assert {result.message: result.action for result in found.failures} == {
        "column amount (number) was removed": "block",
        "column extra (integer) was added": "warn",
        "1 rows, and version 1 has 3": "warn",
    }
    with pytest.raises(NotFoundError, match="has no version 2; its newest is 1"):
        service.get_version("orders", 2)


def test_rows_are_chosen_by_time_and_columns_by_name(
    tmp_path: Path, objects: ObjectStore, service: DatasetService
) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    version = add(service, objects, tmp_path)
    day = datetime(2026, 1, 2, tzinfo=UTC)
    later = read_version(objects, version, since=day, columns=["order_id", "country"])
    assert later.rows() == [(2, "DE"), (3, "NL")]
    assert read_version(objects, version, until=day).height == 1
    assert read_version(objects, version, since=day, until=day + timedelta(days=1)).height == 1
    with pytest.raises(InvalidInputError, match="no column 'contry'; did you mean 'country'"):
        read_version(objects, version, columns=["contry"])
    timeless = add(service, objects, tmp_path, section())
    with pytest.raises(InvalidInputError, match="names no time column; set time"):
        read_version(objects, timeless, since=day)


def test_max_age_is_measured_against_the_moment_given(tmp_path: Path, objects: ObjectStore) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    age = CheckSection(column="day", max_age=timedelta(days=2))
    fresh = section(time="day", checks=(age, CheckSection(volume=VolumeBounds(at_least=3))))
    assert ingest(objects, fresh, tmp_path, None, now=datetime(2026, 1, 4, tzinfo=UTC)).report.passed
    with pytest.raises(DatasetChecksError, match="no older than 2 d and is 7 d old"):
        ingest(objects, fresh, tmp_path, None, now=datetime(2026, 1, 10, tzinfo=UTC))

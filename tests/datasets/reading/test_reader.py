"""A version is read where it is kept, and what is read is what was added."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import open_database
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.project.types import DataSection
from penstock.datasets.frames import formats, read_version
from penstock.datasets.ingest import add_version
from penstock.datasets.reading import tables
from penstock.datasets.reading.reader import DatasetReader, find_version
from penstock.datasets.reading.rows import CsvFile, cut_rows
from penstock.datasets.service import DatasetService
from penstock.datasets.types import FilesDraft
from penstock.storage.objects.chunker import ContentChunker
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

FRAME = pl.DataFrame(
    {
        "id": range(1, 5_001),
        "text": [f'{n}, "q"\nü' if n % 3 else None for n in range(5_000)],
        "amount": [n / 8 for n in range(5_000)],  # Excel keeps sixteen digits
        "flag": [n % 2 == 0 for n in range(5_000)],
        "day": pl.date_range(pl.date(2001, 1, 1), pl.date(2014, 9, 9), eager=True),
        "at": pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 4, 11, 19), "1m", eager=True),
    }
)
WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "t.parquet": lambda frame, path: frame.write_parquet(path, row_group_size=700),
    "t.csv": lambda frame, path: frame.write_csv(path),
    "t.csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
    "t.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "t.jsonl": lambda frame, path: frame.write_ndjson(path),
    "t.arrow": lambda frame, path: frame.write_ipc(path),
    "t.ipc": lambda frame, path: frame.write_ipc(path),
    "t.xlsx": lambda frame, path: frame.write_excel(path),
}
World = Callable[..., DatasetReader]


class CountingStore(ObjectStore):
    """Says how many bytes were read."""

    read = 0

    def read_object(self, *args, **kwargs):
        header, payload = super().read_object(*args, **kwargs)
        self.read += len(payload)
        return header, payload


@pytest.fixture
def add(tmp_path: Path) -> World:
    """Adds a source of the folder and gives its reader."""
    service = DatasetService(open_database(tmp_path))
    objects = CountingStore(open_object_store(tmp_path / "objects").blobs)

    def add(source: str, **section: object) -> DatasetReader:
        add_version(service, objects, "t", DataSection(source=source, **section), tmp_path)  # type: ignore[arg-type]
        return DatasetReader(objects, find_version(service, "t"))

    return add


@pytest.fixture
def add_folder(tmp_path: Path) -> World:
    """Adds a folder of any files and gives its reader."""
    service = DatasetService(open_database(tmp_path))
    objects = open_object_store(tmp_path / "objects")

    def add(folder: Path) -> DatasetReader:
        added = objects.add_folder(folder)
        draft = FilesDraft(source="f", tree=added.digest.hex(), files=added.files, size=added.size)
        return DatasetReader(objects, service.record_files("f", draft))

    return add


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_is_what_was_added(name: str, tmp_path: Path, add: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.datasets.reading.rows.CsvFile.__init__.__kwdefaults__", {"size": 50_000})
    monkeypatch.setattr("penstock.datasets.reading.rows.read_json_lines.__kwdefaults__", {"size": 50_000})
    WRITERS[name](FRAME, tmp_path / name)
    reader = add(name)
    whole = reader.to_polars().collect()
    assert whole.equals(read_version(reader.objects, reader.version))
    assert whole.schema == read_version(reader.objects, reader.version).schema
    assert whole.height == FRAME.height
    chosen = reader.to_polars().filter(pl.col("id") > 4_990).select("text", "amount").collect()
    assert chosen.equals(whole.filter(pl.col("id") > 4_990).select("text", "amount"))
    assert reader.to_polars().head(10).collect().equals(whole.head(10))
    assert reader.to_polars().head(10).filter(pl.col("id") > 8).collect().height == 2
    assert reader.to_polars().select(pl.len()).collect().item() == 5_000
    assert reader.to_polars().select(pl.col("amount").sum()).collect(engine="streaming").item() == pytest.approx(
        FRAME["amount"].sum()
    )
    frames = list(reader.batches(1_500))
    assert [frame.height for frame in frames] == [1_500, 1_500, 1_500, 500]
    assert pl.concat(frames).equals(whole)
    assert [frame.columns for frame in reader.batches(5_000, columns=["at", "id"])] == [["at", "id"]]


@pytest.mark.parametrize("name", [*WRITERS, "t.feather"])
def test_tables_of_a_folder_are_read_without_a_recorded_schema(name: str, tmp_path: Path, add_folder: World) -> None:
    folder = tmp_path / "f" / "deep"
    folder.mkdir(parents=True)
    (tmp_path / "f" / "read.me").write_text("x")
    WRITERS.get(name, lambda frame, path: frame.write_ipc(path))(FRAME, folder / name)
    reader = add_folder(tmp_path / "f")
    assert reader.to_polars("deep/*").collect().height == FRAME.height
    found = reader.to_polars(f"deep/{name}").select("id", "amount").collect()
    assert found.equals(FRAME.select("id", "amount"))
    with pytest.raises(InvalidInputError, match=r"no table, such as 'read.me'"):
        reader.to_polars()
    with pytest.raises(NotFoundError, match=r"no file '\*\.nothing'"):
        reader.to_polars("*.nothing")


def test_of_parquet_only_what_a_query_needs_is_read(tmp_path: Path, add: World) -> None:
    wide = pl.DataFrame({f"c{n}": pl.Series(range(200_000)).shuffle(n) for n in range(20)})
    wide = wide.with_columns(pl.Series("part", range(200_000)) // 20_000)
    wide.write_parquet(tmp_path / "t.parquet", row_group_size=20_000, compression="uncompressed")
    reader = add("t.parquet")
    size = (tmp_path / "t.parquet").stat().st_size
    assert size > 6 * ContentChunker().largest

    def cost(query: pl.LazyFrame) -> float:
        reader.objects.read = 0
        query.collect()
        return reader.objects.read / size

    assert cost(reader.to_polars().select("c3")) < 0.7  # columns of a small group share chunks
    assert cost(reader.to_polars().head(100)) < 0.35
    assert cost(reader.to_polars().filter(pl.col("part") == 4)) < cost(reader.to_polars())


def test_texts_that_look_like_numbers_in_one_piece_stay_texts(
    tmp_path: Path, add: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.datasets.reading.rows.CsvFile.__init__.__kwdefaults__", {"size": 100})
    (tmp_path / "t.csv").write_text("code;price\n" + "007;1,5\n" + "007;1\n" * 50 + "A7;2,5\n")
    found = add("t.csv").to_polars().collect()
    assert found["code"].unique().sort().to_list() == ["007", "A7"]
    assert found["price"].sum() == 54.0


def test_several_files_of_different_kinds_are_one_table(tmp_path: Path, add: World) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.csv").write_text("x,y\n1,a\n")
    (tmp_path / "d" / "b.csv").write_text("y,x\nb,2.5\n")
    pl.DataFrame({"x": [3], "y": ["c"]}, schema_overrides={"y": pl.Categorical}).write_parquet(tmp_path / "d/c.parquet")
    found = add("d/*").to_polars().collect()
    assert found.to_dict(as_series=False) == {"x": [1.0, 2.5, 3.0], "y": ["a", "b", "c"]}
    only = add("d/*").to_polars("*.csv").filter(pl.col("y") == "b").collect()
    assert only["x"].to_list() == [2.5]


def test_an_empty_table_has_its_columns(tmp_path: Path, add_folder: World) -> None:
    (tmp_path / "f").mkdir()
    FRAME.clear().write_parquet(tmp_path / "f" / "t.parquet")
    (tmp_path / "f" / "t.csv").write_text("a,b\n")
    reader = add_folder(tmp_path / "f")
    assert reader.to_polars("*.parquet").collect().schema == FRAME.schema
    assert reader.to_polars("*.csv").collect().columns == ["a", "b"]
    assert list(reader.batches(files="*.parquet")) == []


def test_files_are_opened_anywhere_and_links_followed(tmp_path: Path, add_folder: World) -> None:
    folder = tmp_path / "f"
    (folder / "sub").mkdir(parents=True)
    body = bytes(range(256)) * 40_000
    (folder / "sub" / "large.bin").write_bytes(body)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    reader = add_folder(folder)
    assert [(file.path, file.size, file.is_executable) for file in reader.files()] == [
        ("run.sh", 10, True),
        ("sub/large.bin", len(body), False),
    ]
    with reader.open("sub/large.bin") as stream:
        assert stream.seek(-5, io.SEEK_END) == len(body) - 5
        assert stream.read() == body[-5:]
        stream.seek(5_000_001)
        assert stream.read(9) == body[5_000_001:5_000_010]
    assert reader.read_range("sub/large.bin", 7, 3) == body[7:10]
    with pytest.raises(NotFoundError, match=r"no file 'sub/large\.bim'; did you mean 'sub/large\.bin'"):
        reader.open("sub/large.bim")
    reader.checkout(tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "large.bin").read_bytes() == body
    with pytest.raises(ConflictError):
        reader.checkout(tmp_path / "out")


def test_what_is_asked_for_wrongly_is_told(tmp_path: Path, add: World) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    reader = add("t.csv")
    with pytest.raises(InvalidInputError, match="no column 'bb'"):
        reader.batches(columns=["bb"])
    with pytest.raises(InvalidInputError, match="at least one row"):
        reader.batches(0)
    service = DatasetService(open_database(tmp_path))
    for name in ("t@one", "t@-1", "t@0", "t@2", "t@", "@1"):
        with pytest.raises((InvalidInputError, NotFoundError)):
            find_version(service, name)


def test_other_libraries_get_the_same_rows(tmp_path: Path, add: World) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,\n")
    reader = add("t.csv")
    assert reader.to_arrow().to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert reader.to_pandas()["a"].tolist() == [1, 2]


def test_a_library_that_is_not_there_is_named_with_its_extra(
    tmp_path: Path, add: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n")
    reader = add("t.csv")

    def refuse(*args: object, **kwargs: object) -> None:
        raise ModuleNotFoundError("no")

    monkeypatch.setattr(pl.DataFrame, "to_arrow", refuse)
    monkeypatch.setattr(pl.DataFrame, "to_pandas", refuse)
    with pytest.raises(InvalidInputError, match=r"penstock\[arrow\]"):
        reader.to_arrow()
    with pytest.raises(InvalidInputError, match=r"penstock\[pandas\]"):
        reader.to_pandas()


cells = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=8))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=30), size=st.integers(1, 60))
def test_pieces_of_a_csv_file_end_where_a_row_does(rows: list[tuple[str | None, str | None]], size: int) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}, orient="row")
    body = frame.write_csv(quote_style="non_numeric").encode()
    assert b"".join(cut_rows(io.BytesIO(body), size, has_quotes=True)) == body
    pieces = CsvFile(io.BytesIO(body), ",", size=size).read({"a": pl.String(), "b": pl.String()})
    whole = pl.read_csv(io.BytesIO(body), schema_overrides={"a": pl.String, "b": pl.String}, separator=",")
    assert pl.concat(list(pieces)).equals(whole)


def test_whatever_can_be_taken_in_can_be_read() -> None:
    assert set(formats._SCANNERS) == set(tables._KINDS)

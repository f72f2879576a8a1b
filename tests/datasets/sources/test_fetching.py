"""Any kind of source becomes versions that say where their rows came from; what is known is not fetched again."""

import http.server
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import obstore
import polars as pl
import pytest
from obstore.store import from_url

from factories import open_database
from penstock.core.errors import InvalidInputError, NotFoundError, UnavailableError
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets.frames import read_version
from penstock.datasets.ingest import add_version, check_source
from penstock.datasets.service import DatasetService
from penstock.datasets.types import DatasetChecksError, DatasetVersion, Provenance
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store


class World:
    """A folder with a database, an object store, and the datasets in them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects: ObjectStore = open_object_store(root / "objects")
        self.datasets = DatasetService(open_database(root))
        self._shop = root / "shop.db"

    def add(self, name: str = "data", **fields: object) -> DatasetVersion:
        return add_version(self.datasets, self.objects, name, DataSection(**fields), self.root)  # type: ignore[arg-type]

    def read(self, version: DatasetVersion) -> pl.DataFrame:
        return read_version(self.objects, version)

    def sell(self, *orders: int) -> None:
        with closing(sqlite3.connect(self._shop)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER, amount REAL)")
            connection.executemany("INSERT INTO orders VALUES (?, ?)", [(order, order / 2) for order in orders])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(version: DatasetVersion) -> Provenance:
    kept = version.provenance
    assert kept is not None
    return kept


QUERY = {"source": "SELECT * FROM orders", "connection": "sqlite:///shop.db"}


def test_a_query_becomes_a_version(world: World) -> None:
    world.sell(1, 2, 3)
    version = world.add(**QUERY)
    assert (version.version, version.rows, version.source) == (1, 3, QUERY["source"])
    assert (told(version).kind, told(version).rows) == ("query", 3)
    assert told(version).connection.startswith("sqlite://") and told(version).connection.endswith("shop.db")
    assert world.add(**QUERY).version == 1
    world.sell(4)
    assert world.add(**QUERY).rows == 4
    assert world.datasets.get_version("data").provenance == told(world.datasets.get_version("data"))


def test_a_query_goes_on_where_it_was(world: World) -> None:
    world.sell(1, 2, 3)
    first = world.add(**QUERY, incremental="id")
    assert (told(first).rows, told(first).watermark) == (3, 3)
    assert world.add(**QUERY, incremental="id").version == 1
    world.sell(4, 5)
    second = world.add(**QUERY, incremental="id")
    assert (second.version, second.rows, told(second).rows, told(second).watermark) == (2, 5, 2, 5)
    assert [file.path for file in second.files] == ["part-000001.parquet", "part-000002.parquet"]
    assert second.files[0].digest == first.files[0].digest
    assert world.read(second)["id"].to_list() == [1, 2, 3, 4, 5]


def test_checks_look_at_the_rows_of_a_query(world: World) -> None:
    world.sell(1, 2, 2)
    checks = (CheckSection(column="id", unique=True),)
    with pytest.raises(DatasetChecksError, match="id"):
        world.add(**QUERY, checks=checks)
    assert not check_source(DataSection(**QUERY, checks=checks), world.root).passed  # type: ignore[arg-type]
    assert world.datasets.find_latest("data") is None


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_file_behind_an_address_is_fetched_when_it_changed(world: World, address: str, tmp_path: Path) -> None:
    file = tmp_path / "web" / "table.csv"
    file.write_text("id\n1\n")
    first = world.add(source=f"{address}/table.csv")
    assert (first.rows, told(first).kind, len(told(first).sha256)) == (1, "http", 64)
    assert told(first).modified
    assert world.add(source=f"{address}/table.csv").version == 1
    file.write_text("id\n1\n2\n")
    os.utime(file, (2_000_000_000, 2_000_000_000))
    assert world.add(source=f"{address}/table.csv").rows == 2
    with pytest.raises(InvalidInputError, match=r"'notes\.txt' of .* cannot be read as a table"):
        world.add(source=f"{address}/notes.txt")
    with pytest.raises(NotFoundError, match="there is no file at"):
        world.add(source=f"{address}/none.csv")


def test_files_in_a_bucket_are_found_by_a_pattern(world: World, s3: object) -> None:
    bucket = s3.new_bucket()  # type: ignore[attr-defined]
    store = from_url(bucket, client_options={"allow_http": True})
    for month in (1, 2):
        obstore.put(store, f"orders/2026/{month}.csv", f"id\n{month}\n".encode())
    obstore.put(store, "orders/readme.txt", b"x")
    version = world.add(source=f"{bucket}/orders/*.csv")
    assert (told(version).kind, version.rows) == ("bucket", 2)
    assert [file.path for file in version.files] == ["2026/1.csv", "2026/2.csv"]
    assert world.add(source=f"{bucket}/orders/2026/1.csv", name="one").rows == 1
    with pytest.raises(NotFoundError, match="there is no file"):
        world.add(source=f"{bucket}/orders/*.parquet")
    with pytest.raises(UnavailableError, match="cannot be read"):
        world.add(source="s3://no-such-bucket-here/*.csv")


def test_a_delta_table_is_a_source(world: World) -> None:
    table = world.root / "table"
    pl.DataFrame({"id": [1, 2]}).write_delta(table)
    assert told(world.add(source="table")).table_version == 0
    assert world.add(source="table").version == 1
    pl.DataFrame({"id": [3]}).write_delta(table, mode="append")
    version = world.add(source="table")
    assert (version.version, version.rows, told(version).table_version) == (2, 3, 1)


@pytest.mark.parametrize("name", ["table.xlsx", "table.arrow", "table.feather", "table.ipc"])
def test_tables_of_other_programs_are_read(name: str, world: World) -> None:
    frame = pl.DataFrame({"id": [1, 2], "text": ["a", None], "amount": [0.5, 1.5]})
    if name.endswith("xlsx"):
        frame.write_excel(world.root / name)
    else:
        frame.write_ipc(world.root / name)
    version = world.add(source=name)
    assert world.read(version).to_dicts() == frame.to_dicts()
    (world.root / name).write_bytes(b"junk")
    with pytest.raises(InvalidInputError, match=rf"{name} cannot be read"):
        world.add(source=name)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"source": "ftp://x/y.csv"}, "a source of kind 'ftp' cannot be read"),
        ({"source": "SELECT 1"}, "a query needs a connection"),
        ({"source": "x.csv", "incremental": "id"}, "'incremental' is for queries"),
        ({"source": "x.csv", "sha256": "0" * 64}, "'sha256' is for an HTTP address"),
        ({"source": "s3://bucket"}, "names no file in a bucket"),
    ],
)
def test_a_source_that_cannot_be_is_explained(fields: dict[str, str], said: str, world: World) -> None:
    with pytest.raises(InvalidInputError, match=said):
        world.add(**fields)

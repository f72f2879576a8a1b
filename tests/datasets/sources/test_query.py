"""Rows of a query come as they are, in any number, and bit by bit where that is asked."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import create_engine, text

import postgres_cluster
from penstock.core.errors import InvalidInputError, NotFoundError, UnavailableError
from penstock.datasets.sources import query
from penstock.datasets.sources.query import describe_connection, is_query, resolve_connection, write_query


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER, at TEXT, amount REAL, note TEXT, extra BLOB)")
        rows = [(n, f"2026-01-{n:02} 00:00:00", n / 2, None if n % 2 else "ä", b"x") for n in range(1, 8)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
    return tmp_path


def read(root: Path, asked: str, **given: object) -> tuple[pl.DataFrame, object]:
    url = resolve_connection("sqlite:///shop.db", root)
    rows, watermark = write_query(url, asked, root / "out.parquet", **given)  # type: ignore[arg-type]
    frame = pl.read_parquet(root / "out.parquet")
    assert len(frame) == rows
    assert sorted(path.name for path in root.glob("out*")) == ["out.parquet"]
    return frame, watermark


@pytest.mark.parametrize("batch", [2, 3, 50_000])
def test_the_rows_do_not_depend_on_how_many_come_at_once(
    batch: int, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "BATCH_ROWS", batch)
    frame, watermark = read(shop, "SELECT * FROM orders ORDER BY id;")
    assert frame["id"].to_list() == list(range(1, 8))
    assert frame["note"].to_list() == [None, "ä"] * 3 + [None]
    assert frame.dtypes == [pl.Int64, pl.String, pl.Float64, pl.String, pl.Binary]
    assert watermark is None


def test_a_query_without_rows_has_its_columns(shop: Path) -> None:
    frame, _ = read(shop, "SELECT id, at FROM orders WHERE id > 100")
    assert frame.columns == ["id", "at"]
    assert len(frame) == 0


def test_only_what_came_since_is_fetched(shop: Path) -> None:
    _, mark = read(shop, "SELECT * FROM orders", by="id")
    assert mark == 7
    frame, mark = read(shop, "SELECT * FROM orders", by="id", after=5)
    assert frame["id"].to_list() == [6, 7]
    frame, mark = read(shop, "SELECT * FROM orders", by="at", after="2026-01-06 00:00:00")
    assert (frame["id"].to_list(), mark) == ([7], "2026-01-07 00:00:00")
    frame, mark = read(shop, "SELECT * FROM orders", by="at", after=mark)
    assert (len(frame), mark) == (0, "2026-01-07 00:00:00")


def test_the_database_is_only_read(shop: Path) -> None:
    with pytest.raises(InvalidInputError, match="refuses the query"):
        read(shop, "WITH x AS (SELECT 1) INSERT INTO orders (id) SELECT 9 FROM x")
    assert len(read(shop, "SELECT * FROM orders")[0]) == 7


@pytest.mark.parametrize(
    ("asked", "given", "said"),
    [
        ("SELECT nope FROM orders", {}, "no such column: nope; the query is: SELECT nope"),
        ("SELECT id, id FROM orders", {}, "two columns 'id'; give one another name"),
        ("SELECT id FROM orders", {"by": "at"}, "refuses the query|has no column 'at'"),
        ("SELECT id FROM orders", {"by": 'x"; DROP TABLE orders; --'}, "cannot be the column of 'incremental'"),
    ],
)
def test_a_query_that_cannot_be_is_explained(asked: str, given: dict[str, str], said: str, shop: Path) -> None:
    with pytest.raises(InvalidInputError, match=said):
        read(shop, asked, **given)
    assert len(read(shop, "SELECT * FROM orders")[0]) == 7


def test_a_connection_is_found(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CONNECTION_THE_SHOP", "sqlite:///shop.db")
    assert resolve_connection("the-shop", shop) == resolve_connection("sqlite:///shop.db", shop)
    with pytest.raises(NotFoundError, match="'other' is not known; set PENSTOCK_CONNECTION_OTHER"):
        resolve_connection("other", shop)
    with pytest.raises(NotFoundError, match="there is no file"):
        resolve_connection("sqlite:///nothing.db", shop)
    assert not (shop / "nothing.db").exists()
    for bad in (None, "", "://"):
        with pytest.raises(InvalidInputError):
            resolve_connection(bad, shop)
    with pytest.raises(InvalidInputError, match="install its driver"):
        write_query("nonsense://here", "SELECT 1", shop / "x")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        write_query("sqlite:////nowhere/x.db", "SELECT 1", shop / "x")


def test_no_secret_is_remembered() -> None:
    assert describe_connection("postgresql+psycopg://me:secret@db:5432/shop?password=x") == "postgresql://db:5432/shop"


QUERIES = ["SELECT 1", "\n with x as (select 1) select * from x", "VALUES (1)"]
PATHS = ["selected/*.csv", "select.csv", "table.csv", "a.csv", "s3://select/x.parquet"]


@pytest.mark.parametrize("source", [*QUERIES, *PATHS])
def test_a_query_is_told_from_a_path(source: str) -> None:
    assert is_query(source) is (source in QUERIES)


def test_a_colon_is_a_colon(shop: Path) -> None:
    assert read(shop, "SELECT ':x' AS a, '12:30' AS b, id FROM orders", by="id", after=6)[0].row(0) == (
        ":x",
        "12:30",
        7,
    )


@pytest.fixture
def server() -> Iterator[str]:
    databases = postgres_cluster.databases()
    made = databases.create(template="template0")
    engine = create_engine(made)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sales (id int, day date, at timestamptz, price numeric(8,2), ok bool)"))
        rows = "SELECT n, date '2026-01-01' + n, now(), n + 0.5, n % 2 = 0 FROM generate_series(1, 9) n"
        connection.execute(text(f"INSERT INTO sales {rows}"))
    engine.dispose()
    yield made
    databases.drop(made)


@pytest.mark.postgres
def test_a_database_of_a_server_gives_its_own_types(server: str, tmp_path: Path) -> None:
    rows, mark = write_query(server, "SELECT *, id::text AS t FROM sales", tmp_path / "x.parquet", by="day")
    frame = pl.read_parquet(tmp_path / "x.parquet")
    assert (rows, mark) == (9, "2026-01-10")
    assert frame["day"][0] == date(2026, 1, 2)
    assert frame["price"][0] == Decimal("1.50")
    assert isinstance(frame["at"][0], datetime)
    rows, mark = write_query(server, "SELECT * FROM sales", tmp_path / "x.parquet", by="day", after="2026-01-08")
    assert (rows, mark) == (2, "2026-01-10")

"""A real transaction log as a source: invoices are baskets, and the next basket is what has to be suggested.

The layout is that of the UCI "Online Retail" data: one row for each line of an invoice.
"""

from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import polars as pl

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.demo.events import EVENTS
from penstock.demo.source import Arm, Lists, Measure, Score, Visit, WeekResult

WARM_UP = 12
SHORTEST = WARM_UP + 3  # weeks; with fewer there is nothing to compare
SHOWN = 20
NEEDED = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "CustomerID")
DATE_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M")


class RetailLog:
    """Customers of a real shop: every list is measured on the same baskets, so comparisons are in pairs.

    Args:
        lines: what `read_retail` gave.
        weeks: how many weeks at most, warm-up included; None for all.

    Raises:
        InvalidInputError: the log spans too few weeks.
    """

    measure = Measure("recall@20", 1.0, 4)
    arms: tuple[Arm, ...] = ("loop", "frozen", "popularity", "repeat")
    warm_up = WARM_UP

    def __init__(self, lines: pl.DataFrame, *, title: str = "a real log", weeks: int | None = None) -> None:
        first = lines["at"].min()
        assert isinstance(first, datetime)
        monday = first.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=first.weekday())
        self._monday = monday
        self._lines = lines.with_columns(week=(pl.col("at") - monday).dt.total_days() // 7)
        self._by_week = {key[0]: part for key, part in self._lines.partition_by("week", as_dict=True).items()}
        held = max(self._by_week) + 1
        if held < SHORTEST:
            raise InvalidInputError(
                f"the log spans {held} weeks and the replay needs {SHORTEST}",
                hint=f"the first {WARM_UP} weeks only train the first model",
            )
        self.weeks = min(held, weeks) if weeks else held
        self.title = title

    def week_start(self, week: int) -> datetime:
        """When a week begins: Monday, midnight UTC."""
        return self._monday + timedelta(weeks=week)

    def warm_up_events(self) -> list[pl.DataFrame]:
        """The first weeks."""
        return [self._events(week) for week in range(self.warm_up)]

    def catalogue(self, week: int) -> pl.DataFrame:
        """The items sold up to a week; the aisle is the series that the stock code begins with."""
        return self._goods.filter(pl.col("week") <= week).drop("week")

    @cached_property
    def _goods(self) -> pl.DataFrame:
        return (
            self._lines.group_by("item")
            .agg(
                name=pl.col("name").drop_nulls().first(),
                aisle=pl.col("item").first().str.slice(0, 2),
                price=pl.col("price").first(),  # the first: a later one would not have been known
                since=pl.col("at").min().dt.date(),
                week=pl.col("week").min(),
            )
            .sort("item")
        )

    def sold_out(self, week: int) -> frozenset[str]:
        """Nothing: the log does not tell."""
        return frozenset()

    def visits(self, week: int) -> list[Visit]:
        """Every customer who buys in a week asks just before."""
        first = self._events(week).group_by("user").agg(pl.col("at").min()).sort("at", "user")
        return [Visit(user, at, self.arms) for user, at in first.iter_rows()]

    def answer(self, week: int, lists: Lists) -> WeekResult:
        """Which of the items bought in the week stood in each list."""
        events = self._events(week)
        baskets = events.group_by("user").agg(pl.col("item").unique().sort()).sort("user")
        wanted: dict[str, list[str]] = dict(baskets.iter_rows())
        scores = [
            Score(week, user, arm, len(set(items[:SHOWN]) & set(wanted[user])) / len(wanted[user]), 1.0)
            for arm in lists
            for user, items in lists[arm].items()
        ]
        return WeekResult(events, wanted, scores)

    def _events(self, week: int) -> pl.DataFrame:
        lines = self._by_week.get(week)
        return EVENTS.to_frame() if lines is None else lines.select(EVENTS.names())


def read_retail(path: Path) -> pl.DataFrame:
    """The purchases of a log: sales of goods to known customers, each item of an invoice once.

    Args:
        path: a Parquet or CSV file with the columns InvoiceNo, StockCode, Quantity, InvoiceDate and CustomerID; and,
            where they are there, Description and UnitPrice.

    Returns:
        The columns of an event, and `name` and `price`; in the order of time.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is no table, lacks columns, or holds no purchase.
    """
    lines = _read_table(path)
    _check_columns(lines, path)
    code, invoice = pl.col("StockCode").str.strip_chars().str.to_uppercase(), pl.col("InvoiceNo")
    lines = lines.with_columns(
        pl.col("InvoiceNo", "StockCode").cast(pl.String),
        pl.col("Quantity").cast(pl.Float64, strict=False),
        user=_customer(lines["CustomerID"]),
        at=_times(lines["InvoiceDate"], path),
        name=pl.col("Description").cast(pl.String) if "Description" in lines.columns else pl.lit(None, pl.String),
        price=pl.col("UnitPrice").cast(pl.Float64, strict=False) if "UnitPrice" in lines.columns else pl.lit(0.0),
    )
    # Cancelled invoices begin with C; postage, fees and corrections have codes that begin with a letter.
    is_sale = ~invoice.str.starts_with("C") & (pl.col("Quantity") > 0) & code.str.contains(r"^\d")
    sales = lines.filter(is_sale & pl.col("user").is_not_null() & pl.col("at").is_not_null())
    if sales.is_empty():
        raise InvalidInputError(
            f"{path} holds no sale to a known customer",
            hint="a sale has a CustomerID, a Quantity above 0, a StockCode that begins with a digit and an InvoiceNo "
            "that does not begin with C",
        )
    return (
        sales.select(pl.format("{}-{}", invoice, code).alias("event_id"), "at", "user", item=code, kind=pl.lit("buy"))
        .with_columns(sales["name"].str.strip_chars(), sales["price"])
        .unique("event_id", keep="first", maintain_order=True)
        .sort("at", "event_id")
    )


def _read_table(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}", hint="--data takes a Parquet or CSV file")
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        if path.suffix.lower() == ".csv":
            return pl.read_csv(path, infer_schema=False, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInputError(f"{path} cannot be read as a table: {error}") from error
    raise InvalidInputError(f"{path} is neither .parquet nor .csv", hint="save the log in one of these formats")


def _check_columns(lines: pl.DataFrame, path: Path) -> None:
    missing = [name for name in NEEDED if name not in lines.columns]
    if missing:
        hints = [f"{name}: {nearest_hint(name, lines.columns)}" for name in missing]
        raise InvalidInputError(f"{path} has no column {', '.join(missing)}", hint="; ".join(hints))


def _customer(column: pl.Series) -> pl.Series:
    """Ids as text without the `.0` that a missing value makes of whole numbers elsewhere; empty ones are null."""
    texts = column.cast(pl.Int64).cast(pl.String) if column.dtype.is_float() else column.cast(pl.String)
    texts = texts.str.strip_chars().str.replace(r"\.0$", "")
    return texts.replace("", None)


def _times(column: pl.Series, path: Path) -> pl.Series:
    if column.dtype == pl.String:
        column = _parse_times(column, path)
    if not column.dtype.is_temporal():
        raise InvalidInputError(f"InvoiceDate in {path} holds {column.dtype}, and times are needed")
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    times = column.cast(pl.Datetime("us", zone))
    return times.dt.convert_time_zone("UTC") if zone else times.dt.replace_time_zone("UTC")


def _parse_times(column: pl.Series, path: Path) -> pl.Series:
    for form in DATE_FORMATS:
        times = column.str.to_datetime(form, strict=False)
        if times.null_count() == column.null_count():
            return times
    unread = column.filter(column.str.to_datetime(DATE_FORMATS[0], strict=False).is_null() & column.is_not_null())
    raise InvalidInputError(
        f"InvoiceDate in {path} holds {unread[0]!r}", hint=f"write all times as {', '.join(DATE_FORMATS)}"
    )

"""A real log: what counts as a purchase, and what is said about a file that is none."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.demo.events import History
from penstock.demo.retail import RetailLog, read_retail
from penstock.demo.source import Lists, Score

START = datetime(2011, 1, 5, 9, 30)  # a Wednesday


def make_lines(**changes: list[object]) -> pl.DataFrame:
    columns: dict[str, list[object]] = {
        "InvoiceNo": ["536365", "536365", "536365", "C36379", "536370", "536371", "536372"],
        "StockCode": ["85123a", "71053", "71053", "71053", "POST", "22730", "22730"],
        "Description": ["HEART", "LANTERN", "LANTERN", "LANTERN", "POSTAGE", "ALARM", "ALARM"],
        "Quantity": [6, 6, 1, -1, 1, -3, 2],
        "InvoiceDate": [START + timedelta(hours=hour) for hour in range(7)],
        "UnitPrice": [2.55, 3.39, 3.39, 3.39, 18.0, 3.75, 3.75],
        "CustomerID": [17850, 17850, 17850, 17850, 12583, 12583, None],
    }
    return pl.DataFrame(columns | changes)


def make_weeks(weeks: int) -> pl.DataFrame:
    rows = [(str(536000 + week), "71053", 1, START + timedelta(weeks=week), 17850 + week % 3) for week in range(weeks)]
    return pl.DataFrame(rows, schema=["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "CustomerID"], orient="row")


def write(frame: pl.DataFrame, folder: Path, name: str = "log.parquet") -> Path:
    path = folder / name
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


def test_only_sales_of_goods_to_known_customers_count_each_item_of_an_invoice_once(tmp_path: Path) -> None:
    sales = read_retail(write(make_lines(), tmp_path))
    assert sales.select("event_id", "user", "item", "kind").rows() == [
        ("536365-85123A", "17850", "85123A", "buy"),
        ("536365-71053", "17850", "71053", "buy"),
    ]


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M"])
def test_a_csv_file_says_the_same_as_a_parquet_file(tmp_path: Path, form: str) -> None:
    lines = make_lines()
    texts = lines.with_columns(
        pl.col("InvoiceDate").dt.strftime(form), pl.col("CustomerID").cast(pl.Float64).cast(pl.String)
    )
    expected = read_retail(write(lines, tmp_path))
    assert read_retail(write(texts, tmp_path, "log.csv")).equals(expected)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.parquet.*--data takes"):
        read_retail(tmp_path / "nowhere.parquet")


def test_missing_columns_are_all_named_with_the_nearest_known_name(tmp_path: Path) -> None:
    lines = make_lines().rename({"CustomerID": "Customer ID", "Quantity": "Amount"})
    with pytest.raises(InvalidInputError) as caught:
        read_retail(write(lines, tmp_path))
    assert "no column Quantity, CustomerID" in str(caught.value)
    assert "did you mean 'Customer ID'?" in str(caught.value)


def test_a_date_that_cannot_be_read_is_shown(tmp_path: Path) -> None:
    lines = make_lines().with_columns(InvoiceDate=pl.lit("yesterday"))
    with pytest.raises(InvalidInputError, match=r"InvoiceDate in .* holds 'yesterday'"):
        read_retail(write(lines, tmp_path))


def test_a_log_without_a_sale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no sale to a known customer"):
        read_retail(write(make_lines(Quantity=[-1] * 7), tmp_path))


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    path.write_text("not a table")
    with pytest.raises(InvalidInputError, match="cannot be read as a table"):
        read_retail(path)
    with pytest.raises(InvalidInputError, match=r"neither \.parquet nor \.csv"):
        read_retail(write(make_lines(), tmp_path).rename(tmp_path / "log.xlsx"))


def test_a_log_of_too_few_weeks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="spans 9 weeks and the replay needs 15"):
        RetailLog(read_retail(write(make_weeks(9), tmp_path)))


def test_weeks_begin_on_monday_and_baskets_are_what_was_wanted(tmp_path: Path) -> None:
    log = RetailLog(read_retail(write(make_weeks(16), tmp_path)))
    assert log.week_start(0).isoformat() == "2011-01-03T00:00:00+00:00"
    assert log.weeks == 16
    assert len(log.warm_up_events()) == 12
    (visit,) = log.visits(13)
    result = log.answer(13, {"loop": {visit.user: ["71053", "x"]}, "frozen": {visit.user: ["x"]}})
    assert result.wanted == {visit.user: ["71053"]}
    assert [(score.arm, score.gained) for score in result.scores] == [("loop", 1.0), ("frozen", 0.0)]


def test_the_catalogue_holds_nothing_that_was_not_sold_yet(tmp_path: Path) -> None:
    late = make_weeks(16).with_columns(
        StockCode=pl.when(pl.col("InvoiceNo") == "536014").then(pl.lit("99999")).otherwise(pl.col("StockCode"))
    )
    log = RetailLog(read_retail(write(late, tmp_path)))
    assert log.catalogue(13)["item"].to_list() == ["71053"]
    assert log.catalogue(14)["item"].to_list() == ["71053", "99999"]


@pytest.mark.skipif("PENSTOCK_DATA" not in os.environ, reason="PENSTOCK_DATA names no folder of real data")
def test_the_real_log_is_read_as_it_was_measured() -> None:
    log = RetailLog(read_retail(Path(os.environ["PENSTOCK_DATA"]) / "online_retail.parquet"))
    history = History()
    for events in log.warm_up_events():
        history.add(events)
    scores: list[Score] = []
    for week in range(log.warm_up, log.weeks):
        users, popular = [visit.user for visit in log.visits(week)], history.popular()
        lists: Lists = {"popularity": dict.fromkeys(users, popular), "repeat": history.repeats(users, popular)}
        result = log.answer(week, lists)
        history.add(result.events)
        scores += result.scores
    recall = {arm: [score.gained for score in scores if score.arm == arm] for arm in lists}
    assert {arm: round(sum(values) / len(values), 3) for arm, values in recall.items()} == {
        "popularity": 0.091,
        "repeat": 0.235,
    }
    assert len(scores) == 2 * 13_226

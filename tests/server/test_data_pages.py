"""The pages of data: quality over time, and what changed between two versions."""

from collections.abc import Iterator

import polars as pl
import pytest

from penstock.core.project.types import CheckSection, DataSection, DistributionBounds
from penstock.datasets.ingest import add_version
from penstock.datasets.types import DatasetChecksError
from penstock.server.web.data import changes
from server.reading import Page, open_page, serve_shop
from server.seeding import Shop, open_shop

EVIL = "<script>alert(1)</script>"
CHECKS = (
    CheckSection(column="age", between=(0, 99), action="quarantine"),
    CheckSection(column="plan", allowed=("free", "pro")),
    CheckSection(column="spend", distribution=DistributionBounds(), action="warn"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, str]]:
    """Three versions of customers, one of which lost a row, and a fourth that was kept out."""
    with open_shop(tmp_path_factory.mktemp("data"), is_seeded=False) as shop:
        fill(shop)
        with serve_shop(shop) as url:
            yield shop, url


def fill(shop: Shop) -> None:
    rows = pl.DataFrame(
        {
            "id": range(300),
            "age": [20 + n % 50 for n in range(300)],
            "plan": ["free", "pro"] * 150,
            "spend": [n / 10 for n in range(300)],
            EVIL: [EVIL] * 300,
        }
    )
    aged = pl.when(pl.col("id") == 7).then(-1).otherwise(pl.col("age")).alias("age")
    plan = pl.when(pl.col("id") < 100).then(pl.lit("pro")).otherwise(pl.col("plan")).alias("plan")
    for frame in (rows, rows.with_columns(aged), rows.with_columns(pl.col("spend") + 20, plan).tail(290)):
        add(shop, frame)
    with pytest.raises(DatasetChecksError):
        add(shop, rows.with_columns(plan=pl.lit("gold")))


def add(shop: Shop, frame: pl.DataFrame) -> None:
    frame.write_csv(shop.project.root / "customers.csv")
    section = DataSection(source="customers.csv", key="id", checks=CHECKS)
    services = shop.services
    add_version(services.datasets, services.objects, "customers", section, shop.project.root)


def texts(url: str, path: str) -> str:
    answer = open_page(url + path)
    assert answer.status_code == 200, answer.text[-500:]
    assert Page(answer.text).mistakes == [] and EVIL not in answer.text
    return answer.text


def test_files_that_were_refused_are_told_with_the_way_to_them(world: tuple[Shop, str]) -> None:
    html = texts(world[1], "/data")
    assert "plan must be one of" in html and "penstock data quarantine customers --to FOLDER" in html


def test_quality_shows_each_check_in_each_report(world: tuple[Shop, str]) -> None:
    html = texts(world[1], "/data/customers/quality")
    assert " to look at" in html and "plan must be one of" in html
    marks = [attributes for tag, attributes in Page(html).elements if tag == "i" and attributes.get("role") == "img"]
    labels = {str(mark["aria-label"]).partition(": ")[0] for mark in marks}
    assert {"version 1", "version 2", "version 3"} < labels and any("kept out" in label for label in labels)
    tones = [mark["class"].split()[-1] for mark in marks if "age must" in str(mark["aria-label"])]
    assert tones == ["odder"]
    assert html.count("schema like the version before") == 1
    assert "put aside" in html


def test_quality_shows_one_column_in_full_when_asked(world: tuple[Shop, str]) -> None:
    html = texts(world[1], "/data/customers/quality?column=spend")
    assert "5th to 95th percentile" in html and "Missing values of spend" in html
    assert "No version shown here has a column spnd" in texts(world[1], "/data/customers/quality?column=spnd")


def test_changes_show_files_columns_and_rows(world: tuple[Shop, str]) -> None:
    html = texts(world[1], "/data/customers/diff?before=1&after=3")
    assert "0 added" in html and "10 removed" in html and "290 changed" in html
    assert "<b>spend</b> (290)" in html and "Told apart by id" in html
    assert "Values of spend before and after" in html and "customers.csv" in html
    newest = texts(world[1], "/data/customers/diff")
    assert "version 2 to 3" in newest


def test_rows_of_large_versions_are_compared_when_asked(
    world: tuple[Shop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "READ_AT_ONCE", 0)
    html = texts(world[1], "/data/customers/diff?before=1&after=2")
    assert "Compare them now" in html and "removed" not in html
    assert "1 removed" in texts(world[1], "/data/customers/diff?before=1&after=2&rows=compare")


def test_a_version_tells_what_was_put_aside_and_leads_on(world: tuple[Shop, str]) -> None:
    html = texts(world[1], "/data/customers/2")
    assert "1 of 300 rows were put aside" in html and "What changed since version 1" in html


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/data/nothing/quality", "there is no dataset"),
        ("/data/customers/diff?before=one", "is no version"),
        ("/data/customers/diff?before=1&after=9", "has no version 9"),
        ("/data/nothing/diff", "there is no dataset"),
    ],
)
def test_what_is_not_there_is_told(world: tuple[Shop, str], path: str, told: str) -> None:
    answer = open_page(world[1] + path)
    assert answer.status_code == 404 and told in answer.text

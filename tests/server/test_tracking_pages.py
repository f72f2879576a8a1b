"""The pages of tracking and registry on a server without a project: filters, paging, links, curves, previews."""

import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import numpy as np
import polars as pl
import pytest

from penstock.core.ids import RunId
from penstock.server.web.runs.curves import smooth_out
from penstock.storage.transaction import Transaction
from penstock.tracking.types import Metric
from server.reading import Page, open_page, serve_shop
from server.seeding import Shop, open_shop

RUNS = 1_050
EVIL = "<script>alert(1)</script>"
HTML = f"<h1>Report</h1>{EVIL}<img src=x onerror=alert(2)>".encode()


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, str]]:
    """A server without a project that holds a thousand runs."""
    with open_shop(tmp_path_factory.mktemp("tracked"), is_seeded=False) as shop:
        _fill(shop)
        with serve_shop(shop, is_project=False) as url:
            yield shop, url


@pytest.fixture(scope="module")
def url(tracked: tuple[Shop, str]) -> str:
    return tracked[1]


@pytest.fixture(scope="module")
def run_id(tracked: tuple[Shop, str]) -> RunId:
    """The run that has everything."""
    return tracked[0].services.tracking.search_runs("run_name = 'whole'").runs[0].id


def _fill(shop: Shop) -> None:
    services = shop.services

    def add(tx: Transaction) -> None:
        for number in range(RUNS):
            run = services.tracking.create_run.join(tx, "many", f"run {number:04}")
            params = {"lr": "0.1" if number % 2 else "0.01", "depth": "6"}
            metrics = [Metric("auc", number / RUNS), Metric("val loss", -float(number))]
            services.tracking.log_batch.join(tx, run.id, metrics, params)

    services.tracking.db.write(add)
    run = services.tracking.create_run("few", "whole", tags={"mlflow.note.content": f"What it is {EVIL}"})
    points = [Metric("loss", math.exp(-step / 900), step) for step in range(5_000)]
    services.tracking.log_batch(
        run.id, [*points, Metric("odd", math.nan), Metric("odd", 1e308, 1), Metric("odd", 1, 2)]
    )
    services.tracking.log_batch(run.id, params={"lr": "0.5", "depth": "6"})
    table = io.BytesIO()
    pl.DataFrame({"week": range(200), "who": [EVIL] * 200}).write_parquet(table)
    files = {
        "report.html": HTML,
        "data/rows.csv": b"a,b\n1,x\n2," + EVIL.encode() + b"\n3,4,5\n",
        "data/rows.parquet": table.getvalue(),
        "data/torn.parquet": b"PAR1 is not all there is to it",
        "empty.txt": b"",
        "facts.json": b'{"auc":0.9}',
        "deep.json": b"[" * 100_000,
        "notes.md": b"# Title\n" + EVIL.encode(),
        "model.bin": bytes(1000),
        "a # odd?/name %20.txt": b"found",
        "picture.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    }
    for path, body in files.items():
        services.artifacts.log_artifact(run.id, path, services.objects.put_bytes(body), len(body))
    services.tracking.delete_run(services.tracking.create_run("few", "thrown away").id)


def names_in(html: str) -> list[str]:
    return re.findall(r'<a href="/runs/[0-9a-f]{32}">([^<]+)</a>', html)


def links_to_more(html: str) -> list[str]:
    return [held["href"] for tag, held in Page(html).elements if tag == "a" and "after=" in held.get("href", "")]


def test_a_thousand_runs_are_paged_through_in_order_each_once(url: str) -> None:
    path, seen = "/runs?" + urlencode({"experiment": "many", "order": "metrics.auc ASC"}), []
    for _ in range(20):
        answer = open_page(url + path)
        assert answer.status_code == 200
        assert Page(answer.text).mistakes == []
        seen += names_in(answer.text)
        more = links_to_more(answer.text)
        if not more:
            break
        path = more[0]
    assert seen == [f"run {number:04}" for number in range(RUNS)]


def test_a_table_that_is_scrolled_gets_rows_alone(url: str) -> None:
    path = links_to_more(open_page(f"{url}/runs?experiment=many").text)[0]
    part = open_page(f"{url}{path}&part=rows").text
    assert part.lstrip().startswith('<tbody class="rows">')
    assert len(names_in(part)) == 100
    assert names_in(part) == names_in(open_page(url + path).text)


def test_a_filter_and_an_order_show_what_they_say(url: str) -> None:
    asked = {"filter": "metrics.auc > 0.9 and params.lr = '0.1'", "order": "metrics.`val loss` DESC"}
    found = names_in(open_page(f"{url}/runs?{urlencode(asked)}").text)
    assert found == [f"run {number:04}" for number in range(RUNS) if number / RUNS > 0.9 and number % 2]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"filter": "metrics.auc >> 3"}, "filter"),
        ({"filter": EVIL}, "filter"),
        ({"filter": "metrics.auc > 'high'"}, "auc"),
        ({"order": "nonsense.key DESC"}, "nonsense"),
        ({"after": "bm9uZQ"}, "page token"),
    ],
)
def test_what_cannot_be_read_is_told_beside_the_filter(url: str, asked: dict[str, str], told: str) -> None:
    answer = open_page(f"{url}/runs?{urlencode(asked)}")
    assert answer.status_code == 422
    page = Page(answer.text)
    assert page.mistakes == []
    assert ("p", "alert") in [(tag, held.get("role")) for tag, held in page.elements]
    assert told in answer.text
    assert EVIL not in answer.text
    kept = [held.get("value") for tag, held in page.elements if held.get("id") == "filter"]
    assert kept == [asked.get("filter", "")]  # what was written can be mended


def test_columns_are_those_of_the_address(url: str) -> None:
    asked = [("column", "params.depth"), ("column", "metrics.val loss"), ("column", "nothing"), ("column", "params.no")]
    html = open_page(f"{url}/runs?experiment=many&{urlencode(asked)}").text
    heads = re.findall(r"<th[^>]*>(?:<a[^>]*>)?([^<]+)(?:</a>)?</th>", html)
    assert heads[-3:] == ["depth", "val loss", "no"]
    assert "column=metrics.val+loss" in links_to_more(html)[0]


def test_every_head_that_orders_leads_to_a_table_in_that_order(url: str) -> None:
    html = open_page(f"{url}/runs?experiment=many").text
    orders = [held["href"] for tag, held in Page(html).elements if tag == "a" and "order=" in held.get("href", "")]
    assert len(orders) == 5  # run, status, started, auc, val loss
    for path in orders:
        answer = open_page(url + path)
        assert answer.status_code == 200
        assert len([held for tag, held in Page(answer.text).elements if tag == "th" and "aria-sort" in held]) == 1


def test_deleted_runs_have_a_view_of_their_own(url: str) -> None:
    assert "thrown away" not in open_page(f"{url}/runs?experiment=few").text
    assert names_in(open_page(f"{url}/runs?view=deleted").text) == ["thrown away"]


def test_addresses_of_clients_lead_to_our_pages(tracked: tuple[Shop, str], run_id: RunId) -> None:
    shop, url = tracked
    number = shop.services.experiments.get_experiment("few").id
    assert httpx.get(f"{url}/experiments/{number}").headers["location"] == "/runs?experiment=few"
    assert httpx.get(f"{url}/experiments/{number}/runs/{run_id}").headers["location"] == f"/runs/{run_id}"
    for path in ("/experiments/99", "/experiments/two", f"/experiments/{'9' * 40}", f"/experiments/{number}/runs/none"):
        assert open_page(url + path).status_code == 404, path


def test_experiments_are_listed_with_their_runs(url: str) -> None:
    html = open_page(f"{url}/experiments").text
    assert "1,050" in html
    assert Page(html).mistakes == []


def test_compared_runs_show_what_differs_and_their_curves(tracked: tuple[Shop, str], run_id: RunId) -> None:
    shop, url = tracked
    other = shop.services.tracking.search_runs("run_name = 'run 0001'").runs[0].id
    path = f"/runs/compare?run={run_id}&run={other}"
    html = open_page(url + path).text
    assert "<b>lr</b>" in html
    assert ">depth<" not in html
    assert "1 param is the same everywhere" in html
    assert "5,000 points" in html
    assert ">depth<" in open_page(f"{url}{path}&params=all").text


@pytest.mark.parametrize("more", ["&x=time", "&scale=log", "&smooth=100", "&first=10&last=20", "&first=9&last=2"])
def test_curves_are_drawn_as_the_address_says(url: str, run_id: RunId, more: str) -> None:
    answer = open_page(f"{url}/runs/compare?run={run_id}&metric=loss&metric=odd{more}")
    assert answer.status_code == 200
    assert Page(answer.text).mistakes == []
    assert "nan" not in "".join(re.findall(r'points="([^"]*)"', answer.text))


def test_a_long_curve_is_thinned_and_a_range_shows_all_of_it(url: str, run_id: RunId) -> None:
    def count(more: str) -> int:
        html = open_page(f"{url}/runs/compare?run={run_id}&metric=loss{more}").text
        return len(re.findall(r'polyline class="line-1" points="([^"]*)"', html)[0].split())

    assert 100 < count("") <= 1_000
    assert count("&first=100&last=150") == 51


def test_a_range_that_is_no_number_is_told(url: str, run_id: RunId) -> None:
    answer = open_page(f"{url}/runs/compare?run={run_id}&first=nan")
    assert "is no number" in answer.text
    assert Page(answer.text).mistakes == []


def test_smoothing_takes_the_mean_around_each_point() -> None:
    values = np.array([1.0, 2.0, 6.0, 3.0])
    assert smooth_out(values, 3).tolist() == [1.5, 3.0, 11 / 3, 4.5]
    assert smooth_out(values, 1) is values


def test_a_page_of_a_run_leads_to_its_files(url: str, run_id: RunId) -> None:
    html = open_page(f"{url}/runs/{run_id}").text
    assert EVIL not in html
    files = [link for link in Page(html).links if "/artifacts/" in link]
    assert f"/runs/{run_id}/artifacts/data" in files
    folder = Page(open_page(f"{url}/runs/{run_id}/artifacts/data").text)
    assert f"/runs/{run_id}/artifacts/data/rows.csv" in folder.links


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("data/rows.csv", "<th>a</th>"),
        ("data/rows.parquet", "Only the first 50 rows"),
        ("data/torn.parquet", "no Parquet file"),
        ("empty.txt", "0 bytes"),
        ("facts.json", "&#34;auc&#34;: 0.9"),
        ("deep.json", "[[["),
        ("notes.md", "# Title"),
        ("model.bin", "This is no text"),
        ("a # odd?/name %20.txt", "found"),
        ("picture.svg", "<img"),
        ("report.html", "<iframe"),
    ],
)
def test_a_file_is_shown_and_none_of_it_runs(url: str, run_id: RunId, path: str, told: str) -> None:
    answer = open_page(f"{url}/runs/{run_id}/artifacts/{quote(path)}")
    assert answer.status_code == 200
    assert told in answer.text
    assert EVIL not in answer.text
    assert Page(answer.text).mistakes == []
    download = next(link for link in Page(answer.text).links if link.startswith("/get-artifact"))
    file = httpx.get(url + download)
    assert file.status_code == 200
    assert file.headers["content-disposition"].startswith("attachment")


def test_an_html_file_is_shown_in_a_sandbox(url: str, run_id: RunId) -> None:
    page = Page(open_page(f"{url}/runs/{run_id}/artifacts/report.html").text)
    frame = next(held for tag, held in page.elements if tag == "iframe")
    assert frame["sandbox"] == ""
    answer = httpx.get(url + frame["src"])
    assert answer.content == HTML
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-" not in policy
    assert "script-src" not in policy


def test_a_frame_shows_html_alone(url: str, run_id: RunId) -> None:
    assert open_page(f"{url}/runs/{run_id}/frame/notes.md").status_code == 404
    assert open_page(f"{url}/runs/{run_id}/frame/none.html").status_code == 404


@pytest.mark.parametrize("path", ["none.txt", "../../etc/passwd", "data/%2e%2e/report.html", "%2e%2e/x", "a%00b"])
def test_a_path_that_leads_nowhere_is_a_page_that_helps(url: str, run_id: RunId, path: str) -> None:
    answer = httpx.get(f"{url}/runs/{run_id}/artifacts/{path}", headers={"accept": "text/html"})
    assert 400 <= answer.status_code < 500


def test_the_first_page_of_a_server_leads_on(url: str, tmp_path: Path) -> None:
    html = open_page(url).text
    page = Page(html)
    assert page.mistakes == []
    assert "/experiments" in page.links
    assert len(names_in(html)) == 8
    assert "/static/links.js" in [held.get("src") for tag, held in page.elements if tag == "script"]


def test_a_model_tells_what_an_alias_meant_at_a_time(shop: Shop, shop_url: str) -> None:
    moves = shop.services.registry.alias_history(shop.name, "champion")
    first = moves[-1]
    at = first.at.strftime("%Y-%m-%dT%H:%M:%S.%f")
    html = open_page(f"{shop_url}/models/{shop.name}?at={at}").text
    assert f"<b>champion</b> meant version {first.after}" in html
    assert Page(html).mistakes == []
    assert "No alias was set" in open_page(f"{shop_url}/models/{shop.name}?at=2001-01-01").text
    refused = open_page(f"{shop_url}/models/{shop.name}?at=yesterday")
    assert "is no moment" in refused.text


def test_files_of_a_version_can_be_downloaded(shop: Shop, shop_url: str) -> None:
    page = Page(open_page(f"{shop_url}/models/{shop.name}/1").text)
    links = [link for link in page.links if link.startswith("/model-versions/get-artifact")]
    assert links
    assert {httpx.get(shop_url + link).status_code for link in links} == {200}

"""Every page, with a story and without one: it answers, is well-formed, leads on, and trusts nobody's text."""

import contextlib
import re
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest

from penstock.core.ids import new_id
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets.ingest import add_version
from penstock.datasets.types import DatasetChecksError
from penstock.loop.retraining.case import Case
from penstock.loop.retraining.evidence import Evidence
from penstock.loop.retraining.types import Contender, Probed, Standing, Tried
from penstock.pipelines.types import RowSpan
from penstock.registry.format.types import Column, ModelInfo, Signature
from penstock.server.web.pages import PAGES
from penstock.tracking.types import Metric
from server.reading import Page, open_page, serve_shop
from server.seeding import Shop, open_shop

EVIL = "<script>alert(1)</script>"
MOST_ALIKE = 4  # pages of one kind that a walk opens, such as the lineage of segments


class Walk(NamedTuple):
    """What was opened on the way, by its path, and the pages among it."""

    answers: dict[str, httpx.Response]
    pages: dict[str, Page]


def walk(url: str) -> Walk:
    """All that can be reached from the first page; of very many alike only the first."""
    found, pages = Walk({}, {})
    alike: Counter[str] = Counter()
    waiting = ["/"]
    while waiting:
        path = waiting.pop(0)
        kind = unquote(path).partition(":")[0].partition("=")[0]
        if path in found or alike[kind] >= MOST_ALIKE:
            continue
        alike[kind] += 1
        found[path] = open_page(url + path)
        if "text/html" in found[path].headers["content-type"]:
            pages[path] = Page(found[path].text)
            links = (urljoin(path, link).partition("#")[0] for link in pages[path].links)
            waiting += [link for link in links if link not in found]
    return Walk(found, pages)


@pytest.fixture(scope="module")
def shop_walk(shop_url: str) -> Walk:
    return walk(shop_url)


@pytest.fixture(scope="module")
def empty_walk(empty_url: str) -> Walk:
    return walk(empty_url)


@pytest.fixture
def shop_pages(shop_walk: Walk) -> dict[str, httpx.Response]:
    return shop_walk.answers


@pytest.fixture(params=["shop_walk", "empty_walk"], ids=["with a story", "without one"])
def walked(request: pytest.FixtureRequest) -> Walk:
    found: Walk = request.getfixturevalue(request.param)
    return found


def test_every_link_leads_somewhere(walked: Walk) -> None:
    assert {path: page.status_code for path, page in walked.answers.items() if page.status_code != 200} == {}


def test_every_page_is_well_formed(walked: Walk) -> None:
    assert {path: page.mistakes for path, page in walked.pages.items() if page.mistakes} == {}


def test_no_page_has_a_script_or_a_style_of_its_own(walked: Walk) -> None:
    for path, page in walked.pages.items():
        for tag, attributes in page.elements:
            assert tag != "style", path
            assert tag != "script" or attributes.get("src"), path
            assert not [name for name in attributes if name.startswith("on") or name == "style"], path


def test_every_page_says_in_its_title_and_heading_what_it_is(walked: Walk) -> None:
    for path, page in walked.pages.items():
        tags = [tag for tag, _ in page.elements]
        assert (tags.count("h1"), tags.count("title") > 0, tags.count("main")) == (1, True, 1), path


def test_no_page_shows_what_only_a_programmer_wants_to_see(walked: Walk) -> None:
    for path in walked.pages:
        for trace in ("{{", "{%", ">None<", "datetime(", "Struct(", " object at 0x", ">nan<", "Traceback"):
            assert trace not in walked.answers[path].text, (path, trace)


def test_a_walk_comes_to_every_kind_of_page(shop_pages: dict[str, httpx.Response]) -> None:
    opened = {urlsplit(path).path.split("/")[1] for path in shop_pages}
    assert opened >= {page.split("/")[1] for page in PAGES}
    for kind in ("run", "model-version", "dataset-version", "segment", "alert", "rollout", "verdict", "source"):
        assert any(kind in unquote(path) for path in shop_pages), kind


@pytest.mark.parametrize(
    ("path", "told", "hint"),
    [
        ("/runns", "there is no page /runns", "did you mean &#39;/runs&#39;?"),
        ("/runs/01j00000000000000000000000", "01j00000000000000000000000", "penstock runs list"),
        ("/models/suggest/99", "has no version 99", "its newest is 4"),
        ("/models/churn/1", "there is no model &#39;churn&#39;", "penstock models list"),
        ("/models/suggest/two", "&#39;two&#39; is no version", "numbered 1, 2, 3"),
        ("/models/suggest/" + "9" * 5000, "is no version", "numbered 1, 2, 3"),
        ("/data/events/" + "9" * 30, "is no version", "numbered 1, 2, 3"),
        ("/runs/%ff%fe", "there is no run", ""),
        ("/data/events/99", "has no version 99", "its newest is 4"),
        ("/data/orders/1", "there is no dataset &#39;orders&#39;", "penstock data log"),
        ("/deployments/churn", "churn", ""),
        ("/deployments/churn/try", "churn", ""),
        ("/rollouts/01j00000000000000000000000", "01j00000000000000000000000", ""),
        ("/episodes/01j00000000000000000000000", "01j00000000000000000000000", ""),
        ("/runs/compare?run=nothing", "nothing", ""),
    ],
)
def test_what_is_not_there_is_a_page_that_helps(shop_url: str, path: str, told: str, hint: str) -> None:
    answer = open_page(shop_url + path)
    assert answer.status_code == 404
    assert told in answer.text
    assert hint in answer.text
    assert Page(answer.text).mistakes == []


def test_what_makes_no_sense_is_a_page_that_helps(shop_url: str) -> None:
    for path in ("/audit?subject=nonsense", "/lineage/nonsense", "/audit?upto=many"):
        answer = open_page(shop_url + path)
        assert answer.status_code == 422
        assert "write " in answer.text


def test_programs_get_json_where_nothing_is(shop_url: str) -> None:
    for path in ("/api/v1/nothing", "/nothing"):
        answer = httpx.get(shop_url + path)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


def test_every_answer_tells_the_browser_to_be_careful(shop_url: str) -> None:
    for path in ("/", "/static/style.css", "/api/v1/runs", "/nothing", "/health"):
        headers = httpx.get(shop_url + path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert not {"script-src", "style-src"} & policy.keys()
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert httpx.get(shop_url, headers={"host": "evil.example"}).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}])
def test_pages_of_another_site_get_nothing(shop_url: str, headers: dict[str, str]) -> None:
    for path in ("/", "/audit", "/live", "/static/style.css"):
        assert httpx.get(shop_url + path, headers=headers).status_code == 403


def test_pages_ask_for_the_token_where_there_is_one(empty: Shop) -> None:
    with serve_shop(empty, token="secret") as url:
        assert open_page(url).headers["location"] == "/sign-in?next=/"
        assert httpx.get(url, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer secret"}).status_code == 200


def test_a_server_without_a_project_has_pages_too(shop: Shop) -> None:
    with serve_shop(shop, is_project=False) as url:
        for path in ("/", "/runs", "/models", "/episodes", "/audit", "/deployments", "/deployments/suggest"):
            assert open_page(url + path).status_code == 200


def test_what_nobody_expected_is_a_page_with_a_number_to_ask_for(tmp_path: Path) -> None:
    with open_shop(tmp_path, is_seeded=False) as shop, serve_shop(shop) as url:
        with contextlib.closing(sqlite3.connect(shop.config.home / "penstock.db")) as connection:
            connection.execute("DROP TABLE runs")
        page, answer = open_page(f"{url}/runs"), httpx.get(f"{url}/api/v1/runs")
    for found in (page, answer):
        assert found.status_code == 500
        assert "something went wrong here" in found.text
        assert re.search("log has it under [0-9a-z]{26}", found.text)
        assert "sqlite" not in found.text.lower()
    assert Page(page.text).mistakes == []


def test_a_gateway_that_lives_is_shown(shop_pages: dict[str, httpx.Response]) -> None:
    assert "suggest revisions 2, 3" in shop_pages["/deployments"].text


def test_a_deployment_shows_who_answers_how_and_by_whose_word(shop_pages: dict[str, httpx.Response]) -> None:
    text = shop_pages["/deployments/suggest"].text
    for told in ("75% to version 2, revision 2", "25% to version 4, revision 3, the candidate", "The last hour"):
        assert told in text
    for told in ("as it is: a ranking model has no ONNX form", "nobody vouched for it", "Signed"):
        assert told in text
    assert 'aria-label="Requests per second"' in text


def test_a_deployment_says_how_much_of_its_log_is_without_inputs(
    shop: Shop, shop_pages: dict[str, httpx.Response]
) -> None:
    count = shop.services.predictions.get_traffic(shop.name).segments
    told = f"the inputs in 1 of {count} segments of the log are no longer kept"
    assert told in " ".join(shop_pages["/deployments/suggest"].text.split())


def test_a_rollout_shows_what_is_known_and_what_it_waits_for(shop: Shop, shop_pages: dict[str, httpx.Response]) -> None:
    running = shop.services.serving.list_rollouts(shop.name)[0]
    text = shop_pages[f"/rollouts/{running.id}"].text
    assert "<li>12 of 40 requests of this step were seen</li>" in text
    for event in running.events:
        assert event.reason.lower() in text.lower()
    judged = running.events[-1].evidence["measures"]
    assert text.count('class="chart half sequence"') == len(judged) >= 3
    for measure in judged:
        assert measure["says"] in text


def test_text_of_users_stays_text(tmp_path: Path) -> None:
    with open_shop(tmp_path, is_seeded=False) as shop, serve_shop(shop) as url:
        _write_evil_things(shop)
        answers, pages = walk(url)
    shown = [path for path in pages if "&lt;script&gt;" in answers[path].text]
    for kind in ("/runs/", "/runs", "/episodes/", "/data/", "/data", "/audit", "/rollouts/", "/deployments/"):
        assert any(path.startswith(kind) for path in shown), kind
    for path, page in pages.items():
        assert "<script>" not in answers[path].text, path
        assert page.mistakes == [], path


def _write_evil_things(shop: Shop) -> None:
    tracking = shop.services.tracking
    for _ in range(2):
        run = tracking.create_run(EVIL, EVIL, tags={"note": EVIL})
        tracking.log_batch(run.id, params={"p": EVIL}, metrics=[Metric(EVIL, 0.5, step) for step in range(3)])
        shop.services.artifacts.log_artifact(run.id, "notes/evil.txt", shop.services.objects.put_bytes(b"evil"), 4)
    table = shop.project.root / "evil.csv"
    table.write_text(f"name,{EVIL}\n" + f"{EVIL},1\n" * 20)
    section = DataSection(source="evil.csv")
    add_version(shop.services.datasets, shop.services.objects, "evil", section, shop.project.root)
    table.write_text(f"name,{EVIL}\n" + f"{EVIL}{new_id()},1\n" * 20)
    strict = DataSection(source="evil.csv", checks=(CheckSection(column="name", allowed=("good",)),))
    with pytest.raises(DatasetChecksError):
        add_version(shop.services.datasets, shop.services.objects, "evil", strict, shop.project.root)
    shop.services.loop.open_episode(shop.name, EVIL, params={"learner": EVIL})
    for version in (1, 2):
        (table.parent / f"model-{version}").mkdir()
        (table.parent / f"model-{version}" / EVIL.replace("/", "")).write_text(str(version))
        tree = shop.services.objects.put_tree(table.parent / f"model-{version}")
        column = Column(EVIL, "string")
        info = ModelInfo(flavor="sklearn", task="regression", signature=Signature((column,), (column,)))
        shop.services.registry.register("evil", None, tree, info)
        shop.services.trust.trust(tree, EVIL)
        shop.services.serving.deploy("evil", "evil", version, "canary", reason=EVIL)


def test_the_first_page_says_whether_a_retrain_would_help(tmp_path: Path) -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    tried = Tried(since=at, until=at + timedelta(days=2), windows_until=at + timedelta(days=2), rows=1_234)
    found = [
        Contender(name="change", gain=0.0512, error=0.0101, span=RowSpan(since=at - timedelta(days=9))),
        Contender(name="version 1", gain=-0.02, error=0.01),
        Contender(name="last", gain=0.0, error=0.0, problem="step 'fit' failed"),
    ]
    case = Case(window="change", lost=Evidence(total=0.0512, variance=0.0001))
    with open_shop(tmp_path, is_seeded=False) as shop, serve_shop(shop) as url:
        assert "Would a retrain help?" not in open_page(url).text
        lease = shop.services.loop.hold_lease(shop.name, "a", 60)
        assert lease is not None
        newest = Probed(tried=tried, contenders=found)
        shop.services.loop.put_standing(Standing(project=shop.name, case=case, version=2, newest=newest), lease.fence)
        text = unescape(open_page(url).text)
    assert "a retrain would help: on 1,234 rows a model of the rows since the change lost 0.051 ± 0.010 less" in text
    assert "+0.051 ± 0.010" in text and "-0.020 ± 0.010" in text and "step 'fit' failed" in text

"""The pages in a real Chromium: no errors, alive without reload, usable by keyboard and on a narrow screen."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from patience import PATIENCE_S
from server.reading import serve_shop
from server.seeding import Shop, open_shop

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE_MS = 1_000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)
LIVE = re.compile(r"/live\?")
Opener = Callable[..., Page]


def find_chromium() -> str:
    """The browser to test with; a machine without one skips these tests, but for CI, where they have to run."""
    found = os.environ.get("PENSTOCK_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        told = "no Chromium here: install Debian's 'chromium', or name one in PENSTOCK_TEST_CHROMIUM"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser did not like; a test that leaves anything in here fails."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def open_page(browser: Browser, shop_url: str, complaints: list[str]) -> Iterator[Opener]:
    """Opens a page of the shop, or of another server, and notes all that goes wrong in it."""
    contexts = []

    def open_page(path: str, *, url: str = shop_url, scheme: str = "light", width: int = 1280) -> Page:
        context = browser.new_context(base_url=url, color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _check_address(request.url, url, complaints))
        page.goto(url + path)
        expect(page.locator("#pulse-label")).to_have_text("live")
        return page

    yield open_page
    for context in contexts:
        context.close()


def _check_address(address: str, url: str, complaints: list[str]) -> None:
    if urlsplit(address).netloc != urlsplit(url).netloc:
        complaints.append(f"asked for {address}")


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, str]]:
    """A shop of one's own, in which things happen."""
    with open_shop(tmp_path_factory.mktemp("living")) as shop, serve_shop(shop) as url:
        yield shop, url


def paths(shop: Shop) -> dict[str, str]:
    """A page of each kind."""
    services = shop.services
    runs = services.tracking.list_runs()
    chosen = "&".join(f"run={run.id}" for run in runs[:3])
    return {
        "loop": "/",
        "episodes": "/episodes",
        "episode": f"/episodes/{services.loop.list_episodes()[0].id}",
        "refused episode": f"/episodes/{services.loop.list_episodes()[1].id}",
        "incidents": "/incidents",
        "incident": f"/incidents/{services.incidents.list_incidents(status='resolved')[0].id}",
        "deployments": "/deployments",
        "deployment": f"/deployments/{shop.name}",
        "monitoring": f"/deployments/{shop.name}/monitoring",
        "window": f"/deployments/{shop.name}/windows/2026-03-09T00:00",
        "column": f"/deployments/{shop.name}/windows/2026-03-09T00:00/aisle",
        "rollout": f"/rollouts/{services.serving.list_rollouts(shop.name)[0].id}",
        "ended rollout": f"/rollouts/{services.serving.list_rollouts(shop.name)[1].id}",
        "models": "/models",
        "model version": f"/models/{shop.name}/2",
        "runs": "/runs",
        "run": f"/runs/{runs[0].id}",
        "run with curves": f"/runs/{runs[-1].id}",
        "compare": f"/runs/compare?{chosen}",
        "data": "/data",
        "data version": "/data/events/4",
        "data quality": "/data/events/quality?column=user",
        "data changes": "/data/events/diff?before=1&after=2",
        "audit": "/audit",
        "lineage": "/lineage/dataset-version:events/1",
        "api": "/api",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_load_without_errors_and_from_this_machine_alone(open_page: Opener, shop: Shop, scheme: str) -> None:
    page = open_page("/", scheme=scheme)
    for path in paths(shop).values():
        page.goto(path)
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("#pulse-label")).to_have_text("live")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_page: Opener, shop: Shop, scheme: str) -> None:
    script = (SCRIPTS / "faint_texts.js").read_text()
    page = open_page("/", scheme=scheme)
    page.evaluate("document.querySelector('h1').style.color = 'var(--line)'")
    assert len(page.evaluate(script)) == 1  # it sees what is faint
    for name, path in paths(shop).items():
        page.goto(path)
        assert page.evaluate(script) == [], name


def test_no_page_is_wider_than_a_narrow_screen(open_page: Opener, shop: Shop) -> None:
    page = open_page("/", width=390)
    for name, path in paths(shop).items():
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


def test_a_change_appears_without_reload_and_disturbs_nobody(open_page: Opener, living: tuple[Shop, str]) -> None:
    shop, url = living
    episode = shop.services.loop.list_episodes()[0]
    page = open_page(f"/episodes/{episode.id}", url=url)
    page.locator("#evidence-1 > summary").click()
    page.locator("#evidence-2 > summary").focus()
    page.evaluate("window.scrollTo(0, 300); window.isTheSamePage = true")
    before = page.locator("#evidence-2").bounding_box()
    shop.services.loop.cancel_episode(episode.id, "enough seen")
    expect(page.get_by_role("heading", name="Somebody cancelled it")).to_be_visible()
    expect(page.locator("h1 .badge")).to_have_text("failed")
    assert page.evaluate("window.isTheSamePage")
    assert page.evaluate("document.getElementById('evidence-1').open")
    assert page.evaluate("document.activeElement.parentElement.id") == "evidence-2"
    after = page.locator("#evidence-2").bounding_box()
    assert before and after and abs(before["y"] - after["y"]) <= 1  # what is read stays where it is on the screen


def test_what_was_chosen_stays_chosen_when_the_page_grows(open_page: Opener, living: tuple[Shop, str]) -> None:
    shop, url = living
    page = open_page("/runs", url=url)
    boxes = page.locator("tbody input[type=checkbox]")
    count = boxes.count()
    chosen = [boxes.nth(number).get_attribute("value") for number in (0, 1)]
    for run in chosen:
        page.locator(f"#pick-{run}").check()
    shop.services.tracking.create_run("try-outs", "one more")
    expect(boxes).to_have_count(count + 1)
    assert [page.locator(f"#pick-{run}").is_checked() for run in chosen] == [True, True]
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/runs/compare?*")
    assert page.locator("thead a").count() == 2


def test_a_page_whose_server_is_away_waits_and_then_catches_up(
    open_page: Opener, living: tuple[Shop, str], complaints: list[str]
) -> None:
    shop, url = living
    page = open_page("/runs", url=url)
    page.route(LIVE, lambda route: route.abort())
    page.reload()
    expect(page.locator("#pulse-label")).to_have_text("waiting for the server")
    shop.services.tracking.create_run("try-outs", "made meanwhile")
    page.unroute(LIVE)
    expect(page.locator("#pulse-label")).to_have_text("live")
    expect(page.get_by_role("link", name="made meanwhile")).to_be_visible()
    complaints.clear()  # the browser notes a lost connection as an error


@pytest.mark.parametrize(
    "name", ["loop", "runs", "episode", "deployment", "monitoring", "window", "column", "rollout", "lineage", "audit"]
)
def test_everything_is_reached_by_the_tab_key_in_order_and_seen(open_page: Opener, shop: Shop, name: str) -> None:
    page = open_page(paths(shop)[name])
    wanted = page.evaluate((SCRIPTS / "focusable.js").read_text())
    assert wanted > 8
    reached: list[int] = []
    for _ in range(wanted * 2):  # a region that scrolls takes the focus as well
        page.keyboard.press("Tab")
        place, is_seen = page.evaluate("focusNow()")
        assert is_seen, page.evaluate("document.activeElement.outerHTML")
        if place is not None:
            reached.append(place)
        if len(reached) == wanted:
            break
    assert reached == list(range(wanted))


def test_the_first_tab_stop_leads_past_the_navigation(open_page: Opener) -> None:
    page = open_page("/runs")
    page.keyboard.press("Tab")
    link = page.locator(".skip")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_details_open_by_keyboard(open_page: Opener, shop: Shop) -> None:
    page = open_page(paths(shop)["episode"])
    page.locator("#evidence-2 > summary").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('evidence-2').open")


def test_boxes_of_a_lineage_lead_to_their_pages(open_page: Opener, shop: Shop) -> None:
    page = open_page(paths(shop)["model version"])
    page.locator("svg.graph a", has_text="events 2").click()
    page.wait_for_url("**/data/events/2")
    assert page.locator("h1").inner_text() == "events version 2"


def test_points_of_a_chart_tell_their_value(open_page: Opener) -> None:
    page = open_page("/")
    told = page.locator("svg.chart.wide circle.hit + circle + title").first.text_content() or ""
    assert "precision_at_10 0." in told
    assert "version 1" in told


def test_arrow_keys_lead_through_the_map_of_drift_and_enter_opens_a_cell(open_page: Opener, shop: Shop) -> None:
    page = open_page(paths(shop)["monitoring"])
    focused = "document.activeElement.getAttribute('href')"
    page.locator("svg.heat g.row > a").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused).endswith("/windows/2026-01-05T00:00/aisle")
    page.keyboard.press("End")
    assert page.evaluate(focused).endswith("/windows/2026-05-18T00:00/aisle")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused).endswith("/windows/2026-05-11T00:00/aisle")
    page.keyboard.press("Enter")
    page.wait_for_url("**/windows/2026-05-11T00:00/aisle")
    assert page.locator("h1").inner_text().startswith("aisle")
    page.get_by_role("link", name="the window before").press("Enter")
    page.wait_for_url("**/windows/2026-05-04T00:00/aisle")

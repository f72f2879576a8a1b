"""A deployment tried and a rollout watched in a real Chromium, by keyboard and without scripts."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from server.seeding import Shop
from server.test_browser import PATIENCE_MS, SCRIPTS, Opener, browser, complaints, living, open_page
from server.trying_world import Trying, open_trying

__all__ = ["browser", "complaints", "living", "open_page"]  # fixtures
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def trying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    with open_trying(tmp_path_factory.mktemp("trying")) as trying:
        yield trying


def test_a_deployment_is_tried_without_scripts_and_by_keyboard(browser: Browser, trying: Trying) -> None:
    context = browser.new_context(base_url=trying.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/deployments/taste")
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("user").fill("u9")
    page.get_by_label("visits").fill("many")
    page.get_by_label("visits").press("Enter")
    field = page.get_by_label("visits")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("rows[0].visits: expected `int`, got `str`")
    expect(page.get_by_label("user")).to_have_value("u9")
    field.fill("4")
    page.get_by_label("member").select_option("no")
    page.get_by_role("button", name="Ask for a prediction").press("Enter")
    answer = page.get_by_role("region", name="The answer")
    expect(answer).to_contain_text("score")
    expect(answer).to_contain_text("revision 1, version 1")
    logged = trying.gateway.logged("taste").row(-1, named=True)
    asked = json.loads(logged["inputs"])
    assert (asked["user"], asked["visits"], asked["member"]) == ("u9", 4, False)
    expect(answer).to_contain_text(logged["id"])
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_can_be_read_on_a_narrow_screen(browser: Browser, trying: Trying, scheme: str) -> None:
    context = browser.new_context(
        base_url=trying.url,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": 390, "height": 800},
    )
    page = context.new_page()
    page.goto("/deployments/taste/try")
    page.get_by_label("visits").fill("many")
    page.get_by_role("button", name="Ask for a prediction").click()
    expect(page.locator(".problem")).to_be_visible()
    assert page.evaluate((SCRIPTS / "faint_texts.js").read_text()) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_rollout_is_seen_to_end_without_reload(open_page: Opener, living: tuple[Shop, str]) -> None:
    shop, url = living
    page = open_page(f"/deployments/{shop.name}", url=url)
    page.get_by_role("link", name="How it is decided").click()
    page.wait_for_url("**/rollouts/*")
    expect(page.locator("#pulse-label")).to_have_text("live")
    expect(page.locator("h1 .badge")).to_have_text("running")
    expect(page.locator("svg.sequence")).to_have_count(4)
    expect(page.get_by_role("img", name=re.compile("Failed: .* is allowed: not known yet")).first).to_be_visible()
    expect(page.get_by_text("of 40 requests of this step were seen")).to_be_visible()
    shop.services.serving.roll_back(shop.name, "complaints about prices")
    expect(page.locator("h1 .badge")).to_have_text("aborted")
    expect(page.locator(".story").get_by_text("complaints about prices")).to_be_visible()


def test_drawings_of_measures_fit_a_narrow_screen_whole(open_page: Opener, shop: Shop) -> None:
    rollout = shop.services.serving.list_rollouts(shop.name)[0]
    page = open_page(f"/rollouts/{rollout.id}", width=390)
    widths = page.evaluate(
        "[...document.querySelectorAll('svg.sequence')].map(one => one.getBoundingClientRect().right)"
    )
    assert len(widths) == 4
    assert max(widths) <= 390

"""The table of runs and previews in a real Chromium: scrolling loads more, links of clients lead on, nothing runs."""

import pytest
from playwright.sync_api import expect

from penstock.storage.transaction import Transaction
from server.seeding import Shop
from server.test_browser import Opener, browser, complaints, living, open_page

__all__ = ["browser", "complaints", "living", "open_page"]  # fixtures
pytestmark = pytest.mark.browser


def test_a_table_grows_as_it_is_scrolled_and_keeps_its_place(open_page: Opener, living: tuple[Shop, str]) -> None:
    shop, url = living

    def add(tx: Transaction) -> None:
        for number in range(250):
            shop.services.tracking.create_run.join(tx, "long", f"run {number:03}")

    shop.services.tracking.db.write(add)
    page = open_page("/runs?experiment=long", url=url)
    rows = page.locator("tbody.rows tr")
    for count in (200, 250):
        page.evaluate("document.querySelector('.tall').scrollTo(0, 1e6)")
        expect(rows).to_have_count(count)
    shop.services.tracking.create_run("long", "made meanwhile")
    expect(page.get_by_role("link", name="Something changed")).to_be_visible()
    expect(rows).to_have_count(250)
    page.get_by_role("link", name="Run", exact=True).click()
    expect(rows.first.get_by_role("link")).to_have_text("made meanwhile")


def test_links_that_clients_print_lead_on(open_page: Opener, living: tuple[Shop, str]) -> None:
    shop, url = living
    run = shop.services.tracking.search_runs(experiments=["try-outs"]).runs[0]
    page = open_page("/", url=url)
    page.goto("about:blank")
    page.goto(f"{url}/#/experiments/{run.experiment_id}/runs/{run.id}")
    page.wait_for_url(f"**/runs/{run.id}")
    expect(page.locator("h1")).to_contain_text(run.name)


def test_a_previewed_page_runs_nothing(open_page: Opener, living: tuple[Shop, str], complaints: list[str]) -> None:
    shop, url = living
    run = shop.services.tracking.create_run("try-outs", "with a report")
    body = b"<p id=told>as it was</p><script>document.getElementById('told').textContent = 'ran'</script>"
    shop.services.artifacts.log_artifact(run.id, "report.html", shop.services.objects.put_bytes(body), len(body))
    page = open_page(f"/runs/{run.id}/artifacts/report.html", url=url)
    expect(page.frame_locator("iframe").locator("#told")).to_have_text("as it was")
    page.goto(f"/runs/{run.id}/frame/report.html")
    expect(page.locator("#told")).to_have_text("as it was")
    assert complaints  # the browser says that it blocked a script
    assert all("Blocked script execution" in told for told in complaints)
    complaints.clear()

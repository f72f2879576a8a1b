"""The pages of monitoring in the story of the shop."""

import pytest

from server.reading import Page, open_page, serve_shop
from server.seeding import Shop

MONITORING = "/deployments/suggest/monitoring"
MOVED = "/deployments/suggest/windows/2026-03-09T00:00"


def test_the_page_of_what_is_watched_shows_all_of_it(shop_url: str) -> None:
    text = open_page(shop_url + MONITORING).text
    for told in ("Inputs: changed", "Estimated performance: not known", "Measured performance: no change"):
        assert told in text
    for title in ("precision_at_10 by window", "Drift by column and window", "Outcomes by window", "Alarms over event"):
        assert f'aria-label="{title}' in text
    assert "1 false alarm</b> in 90 d" in text
    assert "Episode 3" in text
    assert Page(text).mistakes == []


@pytest.mark.parametrize("path", ["/", "/deployments/suggest", MONITORING])
def test_the_three_lamps_stand_wherever_a_deployment_is_shown(shop_url: str, path: str) -> None:
    text = open_page(shop_url + path).text
    lamps = [attributes for tag, attributes in Page(text).elements if tag == "i" and attributes.get("class") == "lamp"]
    assert len(lamps) == 3


def test_lamps_stand_in_the_list_of_deployments(shop_url: str) -> None:
    elements = Page(open_page(f"{shop_url}/deployments").text).elements
    told = [attributes["aria-label"] for tag, attributes in elements if attributes.get("class", "").startswith("lamp ")]
    assert [text.partition(":")[0] for text in told] == ["Inputs", "Estimated performance", "Measured performance"]


def test_a_window_shows_its_columns_beside_the_reference(shop_url: str) -> None:
    text = open_page(shop_url + MOVED).text
    assert text.index(f"{MOVED}/aisle") < text.index(f"{MOVED}/new_user")  # what moved stands first
    assert (
        text.count('class="strip tall"') == 1
    )  # of aisle; new_user was not asked with, and no recent list comes twice
    assert "2 columns moved" in text and "drift alert" in text
    assert "the window before" in text and "the window after" in text


def test_a_column_shows_reference_and_window_by_value(shop_url: str) -> None:
    text = open_page(f"{shop_url}{MOVED}/aisle").text
    assert "Reference and 9 Mar to 15 Mar 2026" in text
    assert 'aria-label="Values of aisle in the reference and in this window"' in text
    assert "garden" in text and 'aria-label="Distance of aisle"' in text
    assert f'href="{MOVED}/recent"' in text  # what moved in the same window
    assert "Segments least like the reference" not in text


@pytest.mark.parametrize("path", [MONITORING, MOVED])
def test_columns_that_make_no_segments_are_named_with_the_reason(shop_url: str, path: str) -> None:
    text = open_page(shop_url + path).text
    assert text.count("no segments by city: it is not among the inputs that are logged") == 1


def test_a_column_shows_the_segments_it_moved_in(shop_url: str) -> None:
    text = open_page(f"{shop_url}{MOVED}/recent").text
    assert "Segments least like the reference" in text and '<td class="mono">new_user=1</td>' in text
    assert "moved where new_user=1" in text
    assert Page(text).mistakes == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{MOVED}/weight", "has no column &#39;weight&#39;"),
        ("/deployments/suggest/windows/2026-03-10T00:00", "has no window that starts at 2026-03-10T00:00"),
        ("/deployments/suggest/windows/yesterday", "&#39;yesterday&#39; is no start of a window"),
        ("/deployments/churn/monitoring", "churn"),
        ("/deployments/churn/windows/2026-03-09T00:00", "churn"),
    ],
)
def test_what_is_not_there_is_a_page_that_helps(shop_url: str, path: str, told: str) -> None:
    answer = open_page(shop_url + path)
    assert answer.status_code == 404
    assert told in answer.text
    assert Page(answer.text).mistakes == []


def test_another_servers_project_lends_no_bar_and_no_budget(shop: Shop) -> None:
    with serve_shop(shop, is_project=False) as url:
        text = open_page(url + MONITORING).text
    assert "Alarms against the budget" not in text
    assert "at least 0.1" not in text


def test_a_choice_of_windows_that_makes_no_sense_is_the_usual_one(shop_url: str) -> None:
    assert open_page(f"{shop_url}{MONITORING}?windows=-7&columns=none").status_code == 200

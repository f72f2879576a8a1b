"""Open pages hear of a change within a moment, and of nothing else."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from patience import PATIENCE_S
from server.reading import serve_shop
from server.seeding import Shop, open_shop


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Shop, str]]:
    with open_shop(tmp_path, is_seeded=False) as shop, serve_shop(shop) as url:
        yield shop, url


def test_a_change_of_state_is_told(served: tuple[Shop, str]) -> None:
    shop, url = served
    with httpx.stream("GET", f"{url}/live", timeout=PATIENCE_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        shop.services.tracking.create_run("shop")
        told = list(itertools.islice((line for line in lines if line), 3))
    head = shop.services.governance.head()
    assert told == ["event: change", f"id: {head}", f"data: {head}"]


@pytest.mark.parametrize("where", ["query", "header"])
def test_a_page_that_shows_an_older_state_is_told_at_once(served: tuple[Shop, str], where: str) -> None:
    shop, url = served
    before = shop.services.governance.head()
    shop.services.tracking.create_run("shop")
    params = {"seen": str(before)} if where == "query" else {"seen": str(before + 2)}
    headers = {} if where == "query" else {"last-event-id": str(before)}
    with httpx.stream("GET", f"{url}/live", params=params, headers=headers, timeout=PATIENCE_S) as answer:
        told = list(itertools.islice((line for line in answer.iter_lines() if line), 2))
    assert told[1] == "event: change"


def test_pages_say_which_state_they_show(served: tuple[Shop, str]) -> None:
    shop, url = served
    shop.services.tracking.create_run("shop")
    assert f'data-shows="{shop.services.governance.head()}"' in httpx.get(f"{url}/runs").text

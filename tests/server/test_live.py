"""Open pages hear of a change within a moment, and of nothing else."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.reading import serve_shop
from server.seeding import Shop, open_shop


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Shop, str]]:
    with open_shop(tmp_path, is_seeded=False) as shop, serve_shop(shop) as url:
        yield shop, url


def test_a_change_of_state_is_told(served: tuple[Shop, str]) -> None:
    shop, url = served
    with httpx.stream("GET", f"{url}/live", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        shop.services.tracking.create_run("shop")
        told = list(itertools.islice((line for line in lines if line), 2))
    assert told == ["event: change", f"data: {shop.services.governance.head()}"]


def test_the_version_that_is_told_is_plain_text(served: tuple[Shop, str]) -> None:
    shop, _ = served
    assert json.loads(str(shop.services.governance.head())) == 0

"""The shop with its story, an empty project, and both behind real HTTP."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from server.reading import serve_shop
from server.seeding import Shop, open_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop with its story; tests only read it. The first worker tells it, and each opens a copy of its own."""
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    told, end = session / "shop", session / "shop-end"
    with open(session / "shop-lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not end.exists():
            with open_shop(told) as shop:
                end.write_text(shop.clock.now().isoformat())
    copy = Path(shutil.copytree(told, tmp_path_factory.mktemp("shop") / "copy"))
    with open_shop(copy, is_seeded=False, now=datetime.fromisoformat(end.read_text())) as shop:
        yield shop


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A project in which nothing has happened; tests only read it."""
    with open_shop(tmp_path_factory.mktemp("empty"), is_seeded=False) as shop:
        yield shop


@pytest.fixture(scope="session")
def shop_url(shop: Shop) -> Iterator[str]:
    """Where the shop is served."""
    with serve_shop(shop) as url:
        yield url


@pytest.fixture(scope="session")
def empty_url(empty: Shop) -> Iterator[str]:
    """Where the empty project is served."""
    with serve_shop(empty) as url:
        yield url

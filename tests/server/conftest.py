"""The shop with its story, an empty project, and both behind real HTTP."""

from collections.abc import Iterator

import pytest

from server.reading import serve_shop
from server.seeding import Shop, open_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop with its story; tests only read it."""
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
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

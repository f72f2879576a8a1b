"""What holds for every test: nothing it opened stays open."""

from collections.abc import Iterator

import pytest

from factories import OPENED


@pytest.fixture(autouse=True)
def _databases_are_closed() -> Iterator[None]:
    before = len(OPENED)
    yield
    while len(OPENED) > before:
        OPENED.pop().close()

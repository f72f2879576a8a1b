"""One server for all tests that are only refused, or only look."""

from collections.abc import Iterator

import pytest

from server.mlflow.world import World, open_world


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with nothing in it, and so it stays."""
    with open_world(tmp_path_factory.mktemp("untouched")) as world:
        yield world

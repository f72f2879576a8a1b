"""One server and one gateway for all attacks; each attack leaves them as they were."""

from collections.abc import Iterator

import pytest

from hostile.attacks import Attacker
from hostile.sampling import Sample
from hostile.world import Database, World, open_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A whole server with one of everything."""
    with open_world(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="session")
def database(world: World) -> Iterator[Database]:
    """The server's database from outside."""
    held = Database(world.home / ".penstock" / "penstock.db")
    yield held
    held.close()


@pytest.fixture
def attacker(world: World, database: Database) -> Iterator[Attacker]:
    """A client of the server; at the end the server has to be well, and all of its answers right."""
    before = database.count_rows()
    held = Attacker.of(world, database)
    yield held
    try:
        held.finish()
        assert database.count_rows() == before
    finally:
        held.close()


@pytest.fixture
def sample(request: pytest.FixtureRequest) -> Sample:
    """Which values a place gets: some of them, or all of them with --thorough."""
    return Sample(request.node.name, 1 if request.config.getoption("--thorough") else 20)

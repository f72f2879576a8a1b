"""Projects of one's own, as a user has them: a folder, commands, and real processes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.own_project import OwnProject, init_project


@pytest.fixture(scope="session", autouse=True)
def own_environment() -> None:
    """No setting of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        del os.environ[name]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[OwnProject]:
    """A fresh project; whatever is up in it is stopped at the end."""
    own = init_project(tmp_path)
    try:
        yield own
    finally:
        own.stop()


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> OwnProject:
    """A project with a released version, trained without a server; not to be changed."""
    own = init_project(tmp_path_factory.mktemp("trained"))
    own.run("run")
    return own


@pytest.fixture
def trained(trained_once: OwnProject, tmp_path: Path) -> Iterator[OwnProject]:
    """A copy of it, for a test of its own."""
    shutil.copytree(trained_once.folder, tmp_path / "churned")
    own = OwnProject(tmp_path / "churned")
    try:
        yield own
    finally:
        own.stop()

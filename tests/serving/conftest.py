"""Gateways with real models, shared by the tests of serving."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core import failpoints
from serving.gateways import GatewayUnderTest
from serving.models import Backend, make_logistic, make_ranking


@pytest.fixture(autouse=True)
def no_failpoints() -> Iterator[None]:
    """Whatever a test armed is off afterwards."""
    yield
    failpoints.arm("")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    """A ranking model `shop` and a logistic model `churn`, each registered once."""
    held = Backend(tmp_path)
    held.register(make_ranking(), "shop", "ranking")
    held.register(make_logistic(), "churn", "binary")
    yield held
    held.close()


@pytest.fixture
def gateway(backend: Backend, tmp_path: Path) -> Iterator[GatewayUnderTest]:
    """A gateway that serves both models; its loop is stepped by hand."""
    backend.serving.deploy("shop", "shop", 1, key="user")
    backend.serving.deploy("churn", "churn", 1)
    held = GatewayUnderTest(backend, tmp_path / "gateway")
    held.loop.step()
    yield held
    held.stop()


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayUnderTest]:
    """One gateway of both models for all tests of a file in which none changes what is served."""
    folder = tmp_path_factory.mktemp("shared")
    backend = Backend(folder)
    backend.register(make_ranking(), "shop", "ranking")
    backend.register(make_logistic(), "churn", "binary")
    backend.serving.deploy("shop", "shop", 1, key="user")
    backend.serving.deploy("churn", "churn", 1)
    held = GatewayUnderTest(backend, folder / "gateway")
    held.loop.step()
    yield held
    held.stop()
    backend.close()

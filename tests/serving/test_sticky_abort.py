"""An abort wins, whatever is restarted, and whoever does not hear of it: no request goes to what was aborted."""

import time
from pathlib import Path
from typing import Any

import pytest

from patience import wait_until
from penstock.registry.service import RegistryService
from penstock.serving.service import ServingService
from penstock.serving.types import GatewayReport, Routing
from serving.gateways import GatewayUnderTest
from serving.models import Backend, make_ranking
from serving.test_gateway_loop import Cable

ROWS = [{"user": f"u{number}", "recent": ""} for number in range(40)]
TERMS: list[tuple[dict[str, Any], int]] = [
    ({"strategy": "shadow"}, 0),
    ({"strategy": "shadow", "steps": (0.5, 1.0)}, 1),
    ({"strategy": "canary", "steps": (0.5, 1.0)}, 0),
    ({"strategy": "canary", "steps": (0.5, 1.0)}, 1),
    ({"strategy": "ab", "key": "user"}, 0),
]


def begin(backend: Backend, terms: dict[str, Any], step: int) -> str:
    """Bring the second version to a step of its rollout."""
    backend.register(make_ranking(True), "shop", "ranking")
    rollout = backend.serving.deploy("shop", "shop", 2, **terms)
    for _ in range(step):
        backend.serving.advance(rollout.id)
    return rollout.id


def revisions(gateway: GatewayUnderTest) -> set[int]:
    return {row["revision"] for row in gateway.predict("shop", ROWS)}


@pytest.mark.parametrize(("terms", "step"), TERMS)
def test_an_abort_holds_through_restarts_of_server_and_gateway(
    backend: Backend, tmp_path: Path, terms: dict[str, Any], step: int
) -> None:
    backend.serving.deploy("shop", "shop", 1, key="user")
    cable = Cable(backend.port)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", port=cable)
    begin(backend, terms, step)
    gateway.loop.step()
    expected = {1} if backend.serving.get_deployment("shop").share == 0 else {2}
    assert revisions(gateway) >= expected
    backend.serving.roll_back("shop", "looks bad")
    cable.is_cut = True
    gateway.stop()  # it never heard of it
    restarted = ServingService(backend.db, RegistryService(backend.db))
    assert restarted.get_deployment("shop").candidate is None
    again = GatewayUnderTest(backend, tmp_path / "gateway", port=cable)
    again.loop.restore()
    assert revisions(again) == {1}
    cable.is_cut = False
    again.loop.step()
    assert revisions(again) == {1}
    (last,) = backend.serving.list_rollouts("shop")[:1]
    assert last.state == "aborted"
    again.stop()


def test_a_gateway_that_does_not_hear_from_the_server_gives_candidates_nothing(
    backend: Backend, tmp_path: Path
) -> None:
    backend.serving.deploy("shop", "shop", 1)
    cable = Cable(backend.port)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", port=cable, trust_s=0.3)
    begin(backend, {"strategy": "canary", "steps": (0.9, 1.0)}, 0)
    gateway.loop.step()
    gateway.loop.start()
    wait_until(lambda: 2 in revisions(gateway))
    cable.is_cut = True
    wait_until(lambda: revisions(gateway) == {1})
    for _ in range(20):
        assert revisions(gateway) == {1}
    cable.is_cut = False
    wait_until(lambda: 2 in revisions(gateway))
    gateway.stop()


class SlowShipping(Cable):
    """A server that takes its time over segments."""

    def ship_segment(self, segment: Any, path: Path) -> None:
        time.sleep(1.0)
        super().ship_segment(segment, path)

    def report(self, report: GatewayReport) -> None:
        time.sleep(1.0)
        super().report(report)


def test_a_rollback_waits_for_no_shipping(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", port=SlowShipping(backend.port))
    begin(backend, {"strategy": "direct"}, 0)
    gateway.loop.step()
    for _ in range(5):
        gateway.predict("shop", ROWS)
        gateway.log.rotate()
    gateway.loop.start()
    wait_until(lambda: len(gateway.log.list_closed()) < 5)  # it ships
    backend.serving.roll_back("shop")
    wait_until(lambda: revisions(gateway) == {1})
    assert gateway.log.list_closed()
    gateway.stop()


def test_the_routing_says_nothing_of_an_aborted_revision(backend: Backend) -> None:
    backend.serving.deploy("shop", "shop", 1)
    begin(backend, {"strategy": "shadow", "steps": (0.5, 1.0)}, 1)
    before = backend.serving.routing()
    backend.serving.roll_back("shop")
    after = backend.serving.routing()
    assert after.number > before.number
    assert Routing(0, before.deployments) != Routing(0, after.deployments)
    (route,) = after.deployments
    assert (route.stable.number, route.candidate, route.shadow, route.previous) == (1, None, None, None)

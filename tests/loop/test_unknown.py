"""Unknown is not good (P20): whatever a controller cannot read, or reads as nothing, promotes nobody."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from penstock.core.errors import CorruptDataError, UnavailableError
from penstock.loop.controller import LEASE_S, Controller
from shop_world import DAY, EVEN, START, Shop, ShopServices

WINTER = [6.0, 6.0, 6.0] + [1.0] * 9
ERRORS: list[Exception] = [UnavailableError("away"), OSError("gone"), RuntimeError("a bug"), CorruptDataError("bits")]


class Broken:
    """A service one of whose verbs fails, or answers something else; the others are the real ones."""

    def __init__(self, real: Any, verb: str, answer: Callable[..., Any]) -> None:
        self._real, self._verb, self._answer = real, verb, answer

    def __getattr__(self, name: str) -> Any:
        return _Verb(self._answer) if name == self._verb else getattr(self._real, name)


class _Verb:
    def __init__(self, answer: Callable[..., Any]) -> None:
        self.join = self._answer = answer

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._answer(*args, **named)


def fails(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **named: Any) -> Any:
        raise error

    return fail


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop.open_released(tmp_path_factory.mktemp("canary"))
    for day, weights in enumerate([EVEN, WINTER, WINTER]):
        shop.request(START + day * DAY, 400, weights=weights)
    shop.settle()
    shop.trained_on = WINTER
    run_id = shop.services.loop.list_episodes("shop")[0].run_id
    assert run_id is not None
    shop.finish_run(shop.services.pipelines.get_run(run_id), quality=0.9)
    shop.settle()
    shop.controller.release()
    for day in (4, 5):
        for revision in (1, 2):
            shop.request(START + day * DAY, 100, revision, weights=WINTER)
    return shop


@pytest.fixture
def shop(canary: Shop, tmp_path: Path) -> Shop:
    """A shop whose candidate has seen everything it needs to be promoted, and no controller has looked yet."""
    return canary.copy_to(tmp_path)


def settle(controller: Controller) -> None:
    for _ in range(60):
        try:
            if not controller.tick():
                return
        except Exception:  # the ticker logs it and goes on with the next one
            return


def look_on(shop: Shop, services: ShopServices, looks: int = 5) -> None:
    """A controller with these services looks some times; it is stopped then, and its lease is over."""
    controller = Controller(services, shop.project, holder="broken")
    for _ in range(looks):
        settle(controller)
        shop.clock.advance(seconds=1)
    shop.clock.advance(seconds=LEASE_S + 1)


def advanced(shop: Shop) -> bool:
    (route,) = shop.services.serving.routing().deployments
    rollout = shop.services.serving.list_rollouts("shop")[0]
    return route.stable.version != 1 or rollout.step > 0


SOURCES = [
    ("predictions", "get_traffic"),
    ("predictions", "list_segments"),
    ("predictions", "get_outcomes"),
    ("predictions", "watermark"),
    ("serving", "list_gateways"),
    ("serving", "list_revisions"),
    ("serving", "get_rollout"),
    ("serving", "find_deployment"),
    ("registry", "get_version"),
    ("registry", "find_alias"),
    ("objects", "get_bytes"),
    ("monitoring", "list_windows"),
    ("monitoring", "list_alerts"),
]


def test_without_a_fault_the_candidate_is_promoted(shop: Shop) -> None:
    look_on(shop, shop.services)
    assert advanced(shop)


@pytest.mark.slow
@pytest.mark.every(4)
@pytest.mark.parametrize(("service", "verb"), SOURCES, ids=lambda name: name)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_source_that_fails_promotes_nobody_and_its_return_does(
    shop: Shop, service: str, verb: str, error: Exception
) -> None:
    broken = Broken(getattr(shop.services, service), verb, fails(error))
    look_on(shop, replace(shop.services, **{service: broken}))
    assert not advanced(shop)
    episode = shop.services.loop.list_episodes("shop")[0]
    assert episode.state in ("releasing", "failed")
    if episode.state == "releasing":
        look_on(shop, shop.services)
        assert advanced(shop)


def no_rows(shop: Shop) -> tuple[str, str, Callable[..., Any]]:
    nothing = msgspec.structs.replace(shop.services.predictions.get_traffic("shop"), rows=0, revisions=[])
    return "predictions", "get_traffic", lambda *_, **__: nothing


def no_segments(shop: Shop) -> tuple[str, str, Callable[..., Any]]:
    return "predictions", "list_segments", lambda *_, **__: []


def no_outcomes(shop: Shop) -> tuple[str, str, Callable[..., Any]]:
    return "predictions", "get_outcomes", lambda *_, **__: []


def garbage(shop: Shop) -> tuple[str, str, Callable[..., Any]]:
    return "objects", "get_bytes", lambda *_, **__: b"no parquet at all"


def empty_frame(shop: Shop) -> tuple[str, str, Callable[..., Any]]:
    buffer = io.BytesIO()
    pl.DataFrame().write_parquet(buffer)
    return "objects", "get_bytes", lambda *_, **__: buffer.getvalue()


@pytest.mark.parametrize("fault", [no_rows, no_segments, no_outcomes, garbage, empty_frame])
def test_a_source_that_answers_nothing_or_nonsense_promotes_nobody(
    shop: Shop, fault: Callable[[Shop], tuple[str, str, Callable[..., Any]]]
) -> None:
    service, verb, answer = fault(shop)
    broken = Broken(getattr(shop.services, service), verb, answer)
    look_on(shop, replace(shop.services, **{service: broken}))
    assert not advanced(shop)

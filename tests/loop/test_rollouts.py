"""What a rollout is judged by is read from traffic and outcomes; what cannot be read, or is old, does not count."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.core.errors import UnavailableError
from penstock.core.ids import Digest
from penstock.core.project.types import MarginsSection
from penstock.loop.rollouts import RolloutWatch
from penstock.serving.judge import Judgement
from penstock.serving.measures import Measure
from penstock.serving.strategies import read_terms
from shop_world import DAY, PROJECT, START, Shop


@cache
def _with_two_versions() -> Shop:
    """To be copied."""
    shop = Shop.open_released(Path(tempfile.mkdtemp(prefix="two-versions-")))
    run = shop.services.pipelines.request_run("shop")
    shop.finish_run(run, quality=0.7)
    record = shop.services.pipelines.get_run(run.id).candidate
    assert record is not None
    shop.services.registry.register("shop", run.id, record.model, record.info)
    return shop


def open_shop(folder: Path, deploy: str = "", metric: str = "precision_at_3") -> Shop:
    """A shop whose second version is tried on half of the traffic."""
    text = PROJECT.replace('key = "user"', f'key = "user"\n{deploy}').replace("precision_at_3", metric)
    shop = _with_two_versions().copy_to(folder, text)
    terms = read_terms(shop.project.deploy) | {"steps": (0.5, 1.0)}
    shop.services.serving.deploy("shop", "shop", 2, strategy="canary", **terms)
    return shop


def try_out(folder: Path, **terms: Any) -> Shop:
    """A shop whose second version takes over by other terms."""
    shop = _with_two_versions().copy_to(folder)
    shop.services.serving.deploy("shop", "shop", 2, min_requests=50, **terms)
    return shop


def judge(shop: Shop, watch: RolloutWatch | None = None) -> Judgement:
    (rollout, *_) = shop.services.serving.list_rollouts("shop")
    return (watch or RolloutWatch(shop.services, shop.project)).judge(rollout, shop.services.loop.read_seen())


def measures(found: Judgement) -> dict[str, Measure]:
    return {held.name: held for held in msgspec.convert(found.evidence["measures"], list[Measure])}


def serve(shop: Shop, n: int, *, clicks: tuple[float, float] = (0.3, 0.3)) -> None:
    for revision, chance in zip((1, 2), clicks, strict=True):
        shop.request(START, n, revision, clicks=chance)


def test_both_revisions_are_measured(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    serve(shop, 120)
    found = judge(shop)
    assert found.decision == "advance"
    held = measures(found)
    assert set(held) == {"error_rate", "reward"}
    assert held["error_rate"].n == (120, 120)
    assert held["reward"].n[0] > 100
    assert held["reward"].candidate == pytest.approx(0.1, abs=0.05)  # one of three, three times in ten


def test_requests_of_yesterday_say_nothing_of_today(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    serve(shop, 120)
    shop.clock.advance(hours=30)
    found = judge(shop)
    assert found.decision == "hold"
    assert "no request came for 24 hours" in found.reason
    shop.request(START + DAY, 1, 1)
    assert judge(shop).decision == "advance"


def test_a_dead_source_of_outcomes_promotes_nothing(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    for revision in (1, 2):
        shop.request(START, 2000, revision, clicks=None)
    found = judge(shop)
    assert found.decision == "hold"
    assert "reward" not in measures(found) or measures(found)["reward"].n == (0, 0)


def lose_segments(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(digest: Digest) -> bytes:
        raise UnavailableError(f"the object store does not answer for {digest[:8]}")

    monkeypatch.setattr(shop.services.objects, "get_bytes", refuse)


def answer_odd(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.loop.rollout_outcomes.group_losses", lambda *_: 1 / 0)


@pytest.mark.parametrize("fault", [lose_segments, answer_odd])
def test_outcomes_that_cannot_be_read_hold_and_a_sick_candidate_is_aborted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Shop, pytest.MonkeyPatch], None]
) -> None:
    shop = open_shop(tmp_path)
    serve(shop, 120)
    with monkeypatch.context() as patch:
        fault(shop, patch)
        found = judge(shop)
        assert found.decision == "hold"
        assert "the outcomes cannot be read" in found.reason
        shop.request(START, 200, 2, errors=150)
        assert judge(shop).decision == "abort"
    assert "reward" in measures(judge(shop))


def test_what_could_not_be_read_is_read_again_although_nothing_new_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(tmp_path)
    watch = RolloutWatch(shop.services, shop.project)
    serve(shop, 120)
    with monkeypatch.context() as patch:
        lose_segments(shop, patch)
        assert judge(shop, watch).decision == "hold"
    assert judge(shop, watch).decision == "advance"


def test_evidence_takes_its_time(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, 'decide = "evidence"\nmargins = { error_rate = 0.05, reward = 0.1 }')
    serve(shop, 60)
    found = judge(shop)
    assert found.decision == "hold" and "not shown yet: at most 5.000% of requests more fail" in found.reason
    for _ in range(3):
        serve(shop, 400, clicks=(0.3, 0.4))
    assert judge(shop).decision == "advance"


def test_a_metric_with_a_margin_is_measured_by_customer(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, "margins = { metric = 0.1, latency_p99 = 0.5 }", metric="hit_rate_at_3")
    serve(shop, 300, clicks=(0.9, 0.2))
    found = judge(shop)
    assert found.decision == "abort"
    held: dict[str, Any] = measures(found)
    assert held["metric"].state == "worse" and held["metric"].candidate == pytest.approx(0.2, abs=0.08)
    assert held["latency_p99"].candidate == held["latency_p99"].stable


LENIENT: dict[str, Any] = {"margins": MarginsSection(error_rate=0.2, reward=0.5)}
STRICTER: dict[str, Any] = {"margins": MarginsSection(error_rate=0.05, reward=0.5)}


def test_a_shadow_is_judged_by_its_copies(tmp_path: Path) -> None:
    shop = try_out(tmp_path, strategy="shadow", **LENIENT)
    ids = shop.request(START, 300)
    found = judge(shop)
    assert (found.decision, found.evidence["requests"]["step"]) == ("hold", 0)
    assert found.evidence["agreement"] == {"rows": 0}
    shop.copy(ids[:250], items='["i0", "i1", "i9"]')
    found = judge(shop)
    held = measures(found)
    assert held["error_rate"].n == (250, 300)
    assert held["reward"].n[0] == 250 and held["reward"].n[1] > 250
    assert found.evidence["agreement"] == {"rows": 250, "share": pytest.approx(2 / 3)}
    assert found.decision == "advance", found.reason


def test_a_shadow_that_fails_is_aborted(tmp_path: Path) -> None:
    shop = try_out(tmp_path, strategy="shadow", **LENIENT)
    shop.copy(shop.request(START, 300), errors=200)
    found = judge(shop)
    assert found.decision == "abort" and "200 of 300 requests failed, against 0 of 300" in found.reason


def test_a_shadow_whose_lists_nobody_wants_is_aborted(tmp_path: Path) -> None:
    shop = try_out(tmp_path, strategy="shadow", margins=MarginsSection(error_rate=0.2, reward=0.01))
    shop.copy(shop.request(START, 2000, clicks=0.9), items='["i7", "i8", "i9"]')
    found = judge(shop)
    assert found.decision == "abort" and "the mean reward fell" in found.reason


def test_what_was_seen_in_the_shadow_is_judged_apart(tmp_path: Path) -> None:
    shop = try_out(tmp_path, strategy="shadow", steps=(0.5, 1.0), **LENIENT)
    (rollout, *_) = shop.services.serving.list_rollouts("shop")
    shop.copy(shop.request(START, 300))
    assert judge(shop).evidence["alpha"] == 0.025
    shop.clock.advance(minutes=1)
    shop.services.serving.advance(rollout.id)
    shop.clock.advance(minutes=1)
    serve(shop, 80)
    found = judge(shop)
    assert measures(found)["error_rate"].n == (80, 80)
    assert "agreement" not in found.evidence


def test_an_ab_test_ends_by_evidence(tmp_path: Path) -> None:
    shop = try_out(tmp_path, strategy="ab", key="user", **STRICTER)
    serve(shop, 60)
    assert "not shown yet" in judge(shop).reason
    serve(shop, 600)
    assert judge(shop).decision == "advance"


def test_outcomes_are_weighed_where_the_share_changes(tmp_path: Path) -> None:
    """Mornings click, evenings do not; the candidate gets more of the evenings, and is no worse for it."""
    margins = MarginsSection(error_rate=0.2, reward=0.1, metric=0.1)
    terms = {"strategy": "canary", "steps": (0.1, 0.5, 1.0), "margins": margins}
    shop = try_out(tmp_path, key="user", **terms)
    for share, clicks in ((0.1, 0.9), (0.5, 0.0)):
        n = 2000
        shop.request(START, round(n * share), 2, clicks=clicks, propensity=share)
        shop.request(START, round(n * (1 - share)), 1, clicks=clicks, propensity=1 - share)
    found = measures(judge(shop))
    for held in (found["reward"], found["metric"]):
        assert held.candidate is not None and held.stable is not None
        assert held.candidate < held.stable - 0.05  # by the plain means it would look worse
        assert held.estimate == pytest.approx(0, abs=0.03)
        assert held.low is not None and held.high is not None and held.low < 0 < held.high


def test_a_customer_counts_at_the_share_at_which_he_came_first(tmp_path: Path) -> None:
    shop = try_out(tmp_path, strategy="canary", steps=(0.1, 0.5, 1.0), key="user", **LENIENT)
    first = shop.request(START, 200, 1, propensity=0.9)
    assert len(first) == 200
    shop.request(START, 100, 2, propensity=1.0)  # asked for by its version: no choice was made
    held = measures(judge(shop))["reward"]
    assert held.n[0] == 0 and held.n[1] > 190


def test_the_terms_are_those_of_the_rollout_and_not_of_the_file(tmp_path: Path) -> None:
    shop = try_out(tmp_path, strategy="canary", steps=(0.5, 1.0), decide="evidence", **STRICTER)
    serve(shop, 60)
    assert shop.project.deploy.decide is None
    found = judge(shop)
    assert (found.evidence["decide"], found.decision) == ("evidence", "hold")
    assert measures(found)["error_rate"].bar == 0.05


def test_what_was_seen_is_kept_for_the_pages(tmp_path: Path) -> None:
    shop = open_shop(tmp_path)
    watch = RolloutWatch(shop.services, shop.project)
    (rollout, *_) = shop.services.serving.list_rollouts("shop")
    for _ in range(4):
        serve(shop, 40)
        judge(shop, watch)
        shop.clock.advance(seconds=40)
    held = shop.services.serving.list_measures(rollout.id)
    assert [len(item.evidence["measures"]) for item in held] == [2, 2]
    assert [item.decision for item in held] == ["hold", "advance"]

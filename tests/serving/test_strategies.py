"""Each strategy comes to shares of traffic; what does not go together is named."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.project.types import DeploySection, GuardSection, MarginsSection, RulesSection
from penstock.serving.strategies import plan_rollout, read_terms
from serving.models import Backend, make_logistic, make_ranking

DEFAULT = {"prediction": 0, "score": 0.5}


@pytest.fixture
def served(backend: Backend) -> Backend:
    """Version 1 of `shop` and `churn` answer; version 2 of each waits."""
    backend.register(make_ranking(True), "shop", "ranking")
    backend.register(make_logistic(1), "churn", "binary")
    backend.serving.deploy("shop", "shop", 1)
    backend.serving.deploy("churn", "churn", 1)
    return backend


@pytest.mark.parametrize(
    ("strategy", "steps", "shares", "decide"),
    [
        ("direct", None, (1.0,), "no_harm"),
        ("canary", None, (0.05, 0.25, 1.0), "no_harm"),
        ("canary", (0.5, 1.0), (0.5, 1.0), "no_harm"),
        ("shadow", None, (0.0,), "evidence"),
        ("shadow", (0.5, 1.0), (0.0, 0.5, 1.0), "evidence"),
        ("ab", None, (0.3,), "evidence"),
    ],
)
def test_a_strategy_is_a_row_of_shares(strategy: Any, steps: Any, shares: Any, decide: str) -> None:
    plan = plan_rollout(strategy, steps, 0.3, None, "user")
    assert (plan.steps, plan.decide) == (shares, decide)
    assert plan_rollout(strategy, steps, 0.3, "no_harm", "user").decide == "no_harm"


@pytest.mark.parametrize(
    ("terms", "field", "told"),
    [
        ({"strategy": "blue"}, "strategy", "there is no strategy 'blue'"),
        ({"strategy": "canary", "steps": (0.5, 0.2)}, "steps", "no steps of a rollout"),
        ({"strategy": "shadow", "steps": ()}, "steps", "no steps of a rollout"),
        ({"strategy": "ab", "share": 1.0, "key": "user"}, "share", "cannot give 1 of the traffic"),
        ({"strategy": "ab"}, "key", "needs a key"),
        ({"strategy": "canary", "decide": "luck"}, "decide", "'luck' is no way to decide"),
        ({"default": {"score": 0.5}}, "default.prediction", "the default answer has to"),
        ({"default": {"prediction": 0, "scores": 1}}, "default.scores", "gives no such column"),
        ({"default": {"prediction": 0, "score": "high"}}, "default.score", "'high' is no value of type double"),
    ],
)
def test_what_does_not_go_together_is_named(served: Backend, terms: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told) as refused:
        served.serving.deploy("churn", "churn", 2, **terms)
    assert refused.value.field == field
    assert served.serving.get_deployment("churn").rollout is None


def test_the_terms_of_a_rollout_are_kept_with_it(served: Backend) -> None:
    section = DeploySection(
        guard=GuardSection(error_rate=0.2),
        margins=MarginsSection(error_rate=0.3, metric=0.1),
        min_requests=7,
        key="user",
        rules=RulesSection(pin=("item3",)),
    )
    started = served.serving.deploy("shop", "shop", 2, strategy="ab", **read_terms(section))
    held = served.serving.get_rollout(started.id)
    assert held == started
    assert (held.guard, held.margins, held.min_requests, held.key) == (
        section.guard,
        section.margins,
        7,
        "user",
    )
    assert (held.decide, held.steps) == ("evidence", (0.5,))
    route = served.serving.routing().deployments[1]
    assert (route.rules, route.key, route.share) == (section.rules, "user", 0.5)


def test_the_key_of_a_deployment_is_that_of_its_test_too(served: Backend) -> None:
    served.serving.deploy("shop", "shop", 2, key="user", strategy="direct")
    assert served.serving.deploy("shop", "shop", 1, strategy="ab").key == "user"


def test_a_default_answer_stays_until_it_is_removed(served: Backend) -> None:
    def held() -> dict[str, Any]:
        return served.serving.get_deployment("churn").default

    served.serving.deploy("churn", "churn", 2, default=DEFAULT)
    assert held() == DEFAULT
    served.serving.deploy("churn", "churn", 1)
    assert held() == DEFAULT
    served.serving.deploy("churn", "churn", 2, default={})
    assert held() == {}


def test_a_shadow_gets_copies_then_traffic_then_all_of_it(served: Backend) -> None:
    serving = served.serving
    rollout = serving.deploy("shop", "shop", 2, strategy="shadow", steps=(0.5, 1.0))
    assert rollout.is_in_shadow and rollout.exposed_at is None and rollout.place == "in the shadow"
    (_, route) = serving.routing().deployments
    assert (route.candidate, route.shadow and route.shadow.number, route.share) == (None, 2, 0.0)
    rollout = serving.advance(rollout.id)
    assert rollout.exposed_at == rollout.step_started_at and rollout.place == "at 50%"
    (_, route) = serving.routing().deployments
    assert (route.candidate and route.candidate.number, route.shadow, route.share) == (2, None, 0.5)
    serving.advance(rollout.id)
    assert serving.advance(rollout.id).state == "promoted"


def test_a_shadow_without_steps_is_promoted_when_it_is_shown_not_worse(served: Backend) -> None:
    rollout = served.serving.deploy("shop", "shop", 2, strategy="shadow")
    assert served.serving.advance(rollout.id).state == "promoted"
    stable = served.serving.get_deployment("shop").stable
    assert stable is not None and stable.number == 2


@pytest.mark.parametrize("terms", [{"strategy": "shadow"}, {"strategy": "ab", "key": "user"}, {"strategy": "canary"}])
def test_an_abort_wins_at_every_step_and_stays(served: Backend, terms: dict[str, Any]) -> None:
    serving = served.serving
    steps = len(plan_rollout(terms["strategy"], None, None, None, "user").steps)
    for step in range(steps):
        rollout = serving.deploy("shop", "shop", 2, **terms)
        for _ in range(step):
            serving.advance(rollout.id)
        serving.abort(rollout.id, "looks bad")
        route = serving.routing().deployments[1]
        assert (route.stable.number, route.candidate, route.shadow) == (1, None, None)
        for verb in (serving.advance, serving.promote):
            with pytest.raises(ConflictError, match="is aborted"):
                verb(rollout.id)


def test_measures_are_kept_once_a_minute_and_later_less_often(tmp_path: Path) -> None:
    clock = ManualClock()
    backend = Backend(tmp_path, clock)
    backend.register(make_ranking(), "shop", "ranking")
    backend.register(make_ranking(True), "shop", "ranking")
    backend.serving.deploy("shop", "shop", 1)
    rollout = backend.serving.deploy("shop", "shop", 2, strategy="canary")

    def note() -> bool:
        return backend.serving.note_measures(rollout.id, "hold", "too early", {"measures": [], "alpha": 0.05})

    kept = 0
    for _ in range(600):  # five hours
        kept += note()
        clock.advance(seconds=30)
    assert 150 < kept < 250
    held = backend.serving.list_measures(rollout.id)
    gaps = [after.at - before.at for before, after in pairwise(held)]
    assert len(held) == kept and min(gaps) == timedelta(minutes=1) and timedelta(minutes=3) <= max(gaps)
    assert (held[0].decision, held[0].reason, held[0].share) == ("hold", "too early", 0.05)
    backend.serving.abort(rollout.id)
    clock.advance(hours=1)
    assert not note()
    backend.close()

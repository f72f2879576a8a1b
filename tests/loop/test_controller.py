"""The controller with every service for real: from an alert to a release, or to a refusal that says why."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core import failpoints
from penstock.core.errors import ConflictError, NotFoundError
from penstock.governance.service import GovernanceService
from penstock.loop.controller import LEASE_S, Controller
from penstock.loop.types import Episode
from penstock.pipelines.types import PipelineRun
from penstock.serving.types import GatewayReport, LoadFailure
from shop_world import DAY, EVEN, START, Shop

WINTER = [6.0, 6.0, 6.0] + [1.0] * 9


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def controller(shop: Shop) -> Controller:
    return make_controller(shop)


def make_controller(shop: Shop, holder: str = "a") -> Controller:
    return Controller(shop.services, shop.project, holder=holder)


def settle(controller: Controller) -> None:
    for _ in range(50):
        if not controller.tick():
            return
    raise AssertionError("the controller found something to do for ever")


def newest(shop: Shop) -> Episode:
    return shop.services.loop.list_episodes("shop")[0]


def open_run(shop: Shop) -> PipelineRun:
    run_id = newest(shop).run_id
    assert run_id is not None
    return shop.services.pipelines.get_run(run_id)


def actions(shop: Shop) -> list[str]:
    story = shop.services.loop.get_episode(newest(shop).id)
    assert [decision.number for decision in story.decisions] == list(range(1, len(story.decisions) + 1))
    return [decision.action for decision in story.decisions]


def first_release(shop: Shop, controller: Controller, quality: float = 0.5) -> None:
    shop.services.loop.open_episode("shop")
    settle(controller)
    shop.finish_run(open_run(shop), quality=quality)
    settle(controller)


def drift(shop: Shop, controller: Controller) -> None:
    """Two weeks into the life of the first release its inputs change."""
    for day, weights in enumerate([EVEN, WINTER, WINTER]):
        shop.request(START + day * DAY, 400, weights=weights)
    settle(controller)
    shop.trained_on = WINTER


def served_version(shop: Shop) -> int:
    (route,) = shop.services.serving.routing().deployments
    return route.stable.version


def test_a_first_release_goes_straight_to_all_traffic(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    assert newest(shop).state == "promoted"
    assert actions(shop) == ["open", "train", "register", "pass", "deploy", "promote"]
    assert served_version(shop) == 1
    champion = shop.champion()
    assert champion is not None and champion.version == 1
    assert shop.services.registry.find_alias("shop", "challenger") is None


def test_drift_leads_through_training_gates_and_canary_to_a_new_champion(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    episode = newest(shop)
    assert (episode.trigger, episode.state, episode.number) == ("drift", "training", 2)
    assert "recent moved" in episode.reason
    shop.finish_run(open_run(shop), quality=0.9)
    settle(controller)
    assert (newest(shop).state, served_version(shop)) == ("releasing", 1)
    assert "0 of 50 requests" in shop.services.loop.get_state("shop").waiting_for
    for day in (4, 5):
        shop.request(START + day * DAY, 60, revision=1, weights=WINTER)
        shop.request(START + day * DAY, 60, revision=2, weights=WINTER)
        settle(controller)
    assert actions(shop) == ["open", "train", "register", "pass", "deploy", "advance", "advance", "promote"]
    assert (newest(shop).state, served_version(shop)) == ("promoted", 2)
    (alert,) = shop.services.monitoring.list_alerts("shop")
    assert (alert.status, alert.resolution) == ("resolved", "episode 2 promoted version 2")


def test_a_candidate_that_is_worse_is_refused_with_the_numbers(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller, quality=0.8)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.4)
    settle(controller)
    assert actions(shop) == ["open", "train", "register", "refuse"]
    assert (newest(shop).state, served_version(shop)) == ("refused", 1)
    (gate,) = shop.services.loop.get_episode(newest(shop).id).decisions[-1].evidence["gates"]
    assert (gate["kind"], gate["passed"]) == ("champion", False) and gate["number"] < -0.2
    (alert,) = shop.services.monitoring.list_alerts("shop")
    assert alert.status == "resolved" and "refused its candidate" in alert.resolution


def test_after_a_refusal_the_cooldown_holds_and_then_the_drift_that_stays_is_tried_again(
    shop: Shop, controller: Controller
) -> None:
    first_release(shop, controller, quality=0.8)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.4)
    settle(controller)
    shop.request(START + 3 * DAY, 400, weights=WINTER)
    settle(controller)
    state = shop.services.loop.get_state("shop")
    assert state.settled and "cooldown of 2 d" in state.waiting_for
    assert newest(shop).number == 2
    for day in (4, 5):
        shop.request(START + day * DAY, 400, weights=WINTER)
    settle(controller)
    assert (newest(shop).number, newest(shop).state) == (3, "training")


def test_a_run_that_fails_ends_the_episode_and_leaves_the_alert_open(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.fail_run(open_run(shop), "data 'events' is empty")
    settle(controller)
    assert (newest(shop).state, newest(shop).summary) == ("failed", "data 'events' is empty")
    assert served_version(shop) == 1
    assert [alert.status for alert in shop.services.monitoring.list_alerts("shop")] == ["open"]
    assert shop.services.loop.get_state("shop").settled


def test_without_a_measurement_of_the_champion_nothing_is_promoted(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.9, compare=False)
    settle(controller)
    assert newest(shop).state == "failed"
    assert "was not measured on the same rows" in newest(shop).summary


def test_a_champion_that_changed_meanwhile_ends_the_episode_clearly(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    run = open_run(shop)
    shop.finish_run(run, quality=0.9)
    record = shop.make_candidate(run.id, 0.7)
    other = shop.services.registry.register("shop", None, record.model, record.info)
    shop.services.registry.move_alias("shop", "champion", other.version, "by hand")
    settle(controller)
    assert newest(shop).state == "failed" and "the champion changed" in newest(shop).summary


def test_a_candidate_whose_answers_please_less_is_aborted(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.9)
    settle(controller)
    shop.request(START + 4 * DAY, 400, revision=1, clicks=0.9)
    shop.request(START + 4 * DAY, 400, revision=2, clicks=0.1)
    settle(controller)
    assert actions(shop)[-1] == "abort"
    assert (newest(shop).state, served_version(shop)) == ("refused", 1)
    assert "mean reward fell" in newest(shop).summary


def test_a_rollout_waits_for_feedback_that_has_not_come(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.9)
    settle(controller)
    shop.request(START + 4 * DAY, 100, revision=1, clicks=None)
    ids = shop.request(START + 4 * DAY, 100, revision=2, clicks=None)
    settle(controller)
    assert newest(shop).state == "releasing"
    state = shop.services.loop.get_state("shop")
    assert state.settled and "rewards are known" in state.waiting_for
    shop.answer(ids, 0.3, START + 5 * DAY)
    assert not shop.services.loop.get_state("shop").settled
    settle(controller)
    assert newest(shop).state == "releasing"  # the stable one's feedback is still unknown


def test_a_revision_that_no_gateway_can_load_is_aborted(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.9)
    settle(controller)
    failure = LoadFailure(deployment="shop", revision=2, model="shop", version=2, problem="altered bytes")
    report = GatewayReport(gateway="g", routing=1, revisions={}, failures=[failure], at=shop.clock.now())
    shop.services.serving.report_gateway(report)
    settle(controller)
    assert newest(shop).state == "refused" and "altered bytes" in newest(shop).summary


def test_a_rollback_by_hand_ends_the_episode_and_the_champion_stays(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.9)
    settle(controller)
    shop.services.serving.roll_back("shop", "I do not like it")
    settle(controller)
    assert newest(shop).state == "refused" and "I do not like it" in newest(shop).summary
    champion = shop.champion()
    assert champion is not None and champion.version == 1


def test_a_rollout_that_a_person_promotes_ends_the_episode_well(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.9)
    settle(controller)
    rollout_id = newest(shop).rollout_id
    assert rollout_id is not None
    shop.services.serving.promote(rollout_id, reason="no need to wait")
    settle(controller)
    champion = shop.champion()
    assert newest(shop).state == "promoted" and champion is not None and champion.version == 2


def test_after_a_rollback_the_champion_is_what_serves_again(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    shop.release(0.7)
    shop.services.serving.roll_back("shop", "complaints")
    settle(controller)
    champion = shop.champion()
    assert champion is not None and champion.version == served_version(shop) == 1


def test_cancelling_an_episode_ends_its_run_and_its_rollout(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    run = open_run(shop)
    cancelled = shop.services.loop.cancel_episode(newest(shop).id, "not now")
    assert (cancelled.state, cancelled.summary) == ("failed", "not now")
    assert shop.services.pipelines.get_run(run.id).status == "killed"
    with pytest.raises(ConflictError, match="has ended"):
        shop.services.loop.cancel_episode(cancelled.id)
    with pytest.raises(NotFoundError):
        shop.services.loop.cancel_episode("nothing")


def test_new_data_open_an_episode_and_one_is_open_at_a_time(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    shop.services.loop.open_episode("shop", "by hand")
    with pytest.raises(ConflictError, match="still opened"):
        shop.services.loop.open_episode("shop")
    settle(controller)
    assert newest(shop).reason == "by hand"


def test_only_the_holder_of_the_lease_acts_and_another_takes_over_when_it_is_gone(shop: Shop) -> None:
    first, second = make_controller(shop, "first"), make_controller(shop, "second")
    shop.services.loop.open_episode("shop")
    assert first.tick()
    assert not second.tick()
    shop.finish_run(open_run(shop))
    assert not second.tick()
    shop.clock.advance(seconds=LEASE_S + 1)
    assert second.tick()
    settle(first)  # it finds the lease taken
    settle(second)
    assert newest(shop).state == "promoted"
    fences = [decision.fence for decision in shop.services.loop.get_episode(newest(shop).id).decisions]
    assert fences == [0, 1, 2, 2, 2, 2]


def test_a_controller_that_ends_leaves_the_lease_to_the_next_at_once(shop: Shop) -> None:
    first, second = make_controller(shop, "first"), make_controller(shop, "second")
    shop.services.loop.open_episode("shop")
    assert first.tick()
    first.release()
    first.release()  # there is nothing to let go of
    shop.finish_run(open_run(shop))
    assert second.tick()


def test_a_controller_that_slept_through_its_lease_can_do_no_harm(shop: Shop) -> None:
    sleeper, other = make_controller(shop, "sleeper"), make_controller(shop, "other")
    shop.services.loop.open_episode("shop")
    sleeper.tick()
    stale = sleeper._lease
    assert stale is not None
    shop.clock.advance(seconds=LEASE_S + 1)
    shop.finish_run(open_run(shop))
    other.tick()
    before = newest(shop)
    with pytest.raises(ConflictError):
        sleeper._steps.take(before, shop.services.loop.read_seen(), stale.fence)
    assert newest(shop) == before


def test_the_loop_is_settled_only_when_it_has_looked_at_everything(shop: Shop, controller: Controller) -> None:
    state = shop.services.loop.get_state("shop")
    assert not state.settled and "penstock up" in state.waiting_for
    settle(controller)
    state = shop.services.loop.get_state("shop")
    assert state.settled and "penstock run" in state.waiting_for
    shop.services.loop.open_episode("shop")
    assert not shop.services.loop.get_state("shop").settled
    settle(controller)
    state = shop.services.loop.get_state("shop")
    assert not state.settled and "a worker to take up run" in state.waiting_for
    shop.finish_run(open_run(shop))
    settle(controller)
    assert shop.services.loop.get_state("shop").waiting_for == "new traffic, outcomes or data"
    shop.request(START, 10)
    assert not shop.services.loop.get_state("shop").settled
    settle(controller)
    assert shop.services.loop.get_state("shop").settled


def test_every_decision_is_audited_and_leads_from_the_alert_to_the_model(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    governance = GovernanceService(shop.db)
    events = governance.list_events(subject=f"episode:{newest(shop).id}")
    assert [event.action for event in events] == ["loop.open", "loop.train"]
    refs = {str(ref) for ref in governance.trace_lineage(f"episode:{newest(shop).id}").refs}
    assert {f"alert:{newest(shop).alert_id}", "model-version:shop/1"} <= refs
    assert governance.verify_audit().is_whole


@pytest.mark.parametrize("point", ["loop.before_decision", "loop.after_decision", "storage.writer.before_commit"])
def test_a_crash_at_every_step_is_made_up_for_and_nothing_is_done_twice(tmp_path: Path, point: str) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "stormy").mkdir()
    expected = run_story(Shop(tmp_path / "calm"), crashing="")
    assert run_story(Shop(tmp_path / "stormy"), crashing=f"{point}=eio@1") == expected


@pytest.mark.every(2)
@pytest.mark.parametrize("seed", [1, 2])
def test_three_controllers_on_a_jumping_clock_end_in_the_same_state(tmp_path: Path, seed: int) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "three").mkdir()
    expected = run_story(Shop(tmp_path / "one"), crashing="")
    shop = Shop(tmp_path / "three")
    chance = random.Random(seed)
    controllers = [make_controller(shop, name) for name in ("a", "b", "c")]

    def turn() -> None:
        for _ in range(60):
            chance.choice(controllers).tick()
            shop.clock.advance(seconds=chance.choice([0, 0.1, 3, LEASE_S + 1]))
        while not shop.services.loop.get_state("shop").settled and open_state(shop) not in ("training", ""):
            chance.choice(controllers).tick()
            shop.clock.advance(seconds=LEASE_S + 1)

    assert tell_story(shop, turn) == expected


def open_state(shop: Shop) -> str:
    episode = shop.services.loop.find_open_episode("shop")
    return episode.state if episode else ""


def run_story(shop: Shop, *, crashing: str) -> tuple[object, ...]:
    """First release, drift, retrain, canary, promotion; the controller dies at every step, and another one goes on."""
    controllers = [make_controller(shop, "c0")]

    def turn() -> None:
        crashed = False
        for _ in range(200):
            failpoints.arm("" if crashed else crashing)
            try:
                done = not controllers[-1].tick()
            except Exception:  # whatever a dying controller throws
                crashed = True
                controllers.append(make_controller(shop, f"c{len(controllers)}"))
                shop.clock.advance(seconds=LEASE_S + 1)
                continue
            finally:
                failpoints.arm("")
            if done:
                return
            crashed = False
        raise AssertionError("never at rest")

    told = tell_story(shop, turn)
    assert (len(controllers) > 7) == bool(crashing)
    return told


def tell_story(shop: Shop, turn: Callable[[], None]) -> tuple[object, ...]:
    shop.services.loop.open_episode("shop")
    turn()
    shop.finish_run(open_run(shop), quality=0.5)
    turn()
    for day, weights in enumerate([EVEN, WINTER, WINTER]):
        shop.request(START + day * DAY, 400, weights=weights)
    turn()
    shop.trained_on = WINTER
    shop.finish_run(open_run(shop), quality=0.9)
    turn()
    for day in (4, 5):
        shop.request(START + day * DAY, 60, revision=1, weights=WINTER)
        shop.request(START + day * DAY, 60, revision=2, weights=WINTER)
        turn()
    services = shop.services
    episodes = services.loop.list_episodes("shop")
    return (
        [(episode.number, episode.trigger, episode.state, episode.version) for episode in episodes],
        [[d.action for d in services.loop.get_episode(episode.id).decisions] for episode in episodes],
        [run.status for run in services.pipelines.list_runs("shop")],
        [rollout.state for rollout in services.serving.list_rollouts("shop")],
        sorted((m.alias, m.number, m.before, m.after) for m in services.registry.alias_history("shop")),
        [(alert.kind, alert.status, alert.window_start) for alert in services.monitoring.list_alerts("shop")],
        served_version(shop),
    )


def champion_version(shop: Shop) -> int:
    champion = shop.champion()
    assert champion is not None
    return champion.version


def register(shop: Shop, quality: float) -> int:
    """A version that no episode knows of."""
    run = shop.services.pipelines.request_run("shop")
    shop.finish_run(run, quality=quality)
    record = shop.services.pipelines.get_run(run.id).candidate
    assert record is not None
    registered = shop.services.registry.register("shop", run.id, record.model, record.info, record.reference)
    return registered.version


def test_a_version_released_by_hand_is_the_champion(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    version = register(shop, 0.7)
    shop.services.serving.deploy("shop", "shop", version)
    settle(controller)
    assert champion_version(shop) == version == 2


def test_a_champion_named_by_hand_stays_until_it_is_deployed(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    version = register(shop, 0.7)
    shop.clock.advance(seconds=1)
    shop.services.registry.move_alias("shop", "champion", version, "approved")
    settle(controller)
    assert champion_version(shop) == version
    shop.services.serving.deploy("shop", "shop", version)
    shop.services.registry.move_alias("shop", "champion", 1, "the first one after all")
    settle(controller)
    assert (champion_version(shop), served_version(shop)) == (1, version)


def test_an_earlier_rollback_does_not_count_once_its_version_was_released_again(
    shop: Shop, controller: Controller
) -> None:
    first_release(shop, controller)
    second = shop.release(0.7).version
    shop.services.serving.roll_back("shop", "complaints")
    settle(controller)
    shop.clock.advance(seconds=1)
    shop.services.serving.deploy("shop", "shop", second)
    settle(controller)
    assert champion_version(shop) == second


def test_a_canary_started_by_hand_is_judged_and_promoted(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    version = register(shop, 0.7)
    shop.services.serving.deploy("shop", "shop", version, strategy="canary", steps=(0.5, 1.0), min_requests=50)
    settle(controller)
    assert "rollout at 50%: 0 of 50 requests" in shop.services.loop.get_state("shop").waiting_for
    for day in (4, 5):
        shop.request(START + day * DAY, 60, revision=1)
        shop.request(START + day * DAY, 60, revision=2)
        settle(controller)
    assert served_version(shop) == champion_version(shop) == version


def test_a_canary_started_by_hand_that_fails_is_aborted_even_while_an_episode_waits(
    shop: Shop, controller: Controller
) -> None:
    first_release(shop, controller)
    version = register(shop, 0.7)
    rollout = shop.services.serving.deploy("shop", "shop", version, strategy="canary", steps=(0.5, 1.0))
    shop.services.loop.open_episode("shop")
    shop.request(START, 200, revision=1)
    shop.request(START, 200, revision=2, errors=150)
    settle(controller)
    assert shop.services.serving.get_rollout(rollout.id).state == "aborted"
    assert newest(shop).state == "training" and champion_version(shop) == 1


def test_a_champion_that_a_person_chose_after_its_rollout_was_aborted_stays(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    version = register(shop, 0.7)
    rollout = shop.services.serving.deploy("shop", "shop", version, strategy="canary", steps=(0.5, 1.0))
    shop.services.serving.abort(rollout.id, "not today")
    settle(controller)
    assert champion_version(shop) == 1
    shop.clock.advance(seconds=60)
    shop.services.registry.move_alias("shop", "champion", version, "it was the wrong day")
    settle(controller)
    assert champion_version(shop) == version


def test_a_promotion_that_is_taken_back_at_once_makes_no_champion(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    drift(shop, controller)
    shop.finish_run(open_run(shop), quality=0.9)
    settle(controller)
    rollout_id = newest(shop).rollout_id
    assert rollout_id is not None
    shop.services.serving.promote(rollout_id)
    shop.services.serving.roll_back("shop", "a mistake")
    settle(controller)
    assert newest(shop).state == "refused" and "out of the traffic" in newest(shop).summary
    moves = shop.services.registry.alias_history("shop", "champion")
    assert [move.after for move in moves] == [1]


def test_a_model_that_was_rolled_back_does_not_come_back_under_a_new_number(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    bad = shop.release(0.9)
    shop.services.serving.roll_back("shop", "complaints")
    settle(controller)
    shop.services.loop.open_episode("shop")
    settle(controller)
    run = open_run(shop)
    shop.finish_run(run, quality=0.9, again=bad)
    settle(controller)
    assert newest(shop).state == "refused" and "version 2, which was rolled back" in newest(shop).summary
    assert served_version(shop) == 1


def test_a_step_that_a_person_took_meanwhile_is_not_taken_twice(shop: Shop, controller: Controller) -> None:
    first_release(shop, controller)
    version = register(shop, 0.7)
    serving = shop.services.serving
    rollout = serving.deploy("shop", "shop", version, strategy="canary", steps=(0.1, 0.5, 1.0))
    serving.advance(rollout.id, step=0)
    with pytest.raises(ConflictError, match="at step 1, not 0"):
        serving.advance(rollout.id, step=0)
    assert serving.get_rollout(rollout.id).share == 0.5

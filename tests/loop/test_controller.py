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


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("released"))
    shop.services.loop.open_episode("shop")
    shop.settle()
    shop.finish_run(open_run(shop), quality=0.5)
    shop.settle()
    return shop


@pytest.fixture(scope="module")
def drift(first_release: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = first_release.copy_to(tmp_path_factory.mktemp("drifted"))
    for day, weights in enumerate([EVEN, WINTER, WINTER]):
        shop.request(START + day * DAY, 400, weights=weights)
    shop.settle()
    shop.trained_on = WINTER
    return shop


@pytest.fixture(scope="module")
def canary(drift: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = drift.copy_to(tmp_path_factory.mktemp("tried"))
    shop.finish_run(open_run(shop), quality=0.9)
    shop.settle()
    return shop


@pytest.fixture
def released(first_release: Shop, tmp_path: Path) -> Shop:
    """A shop after its first release."""
    return first_release.copy_to(tmp_path)


@pytest.fixture
def drifted(drift: Shop, tmp_path: Path) -> Shop:
    """That shop when its inputs have changed, and a model is to be trained."""
    return drift.copy_to(tmp_path)


@pytest.fixture
def trying(canary: Shop, tmp_path: Path) -> Shop:
    """That shop when half of the requests go to a better model."""
    return canary.copy_to(tmp_path)


def make_controller(shop: Shop, holder: str = "a") -> Controller:
    return Controller(shop.services, shop.project, holder=holder)


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


def served_version(shop: Shop) -> int:
    (route,) = shop.services.serving.routing().deployments
    return route.stable.version


def test_a_first_release_goes_straight_to_all_traffic(released: Shop) -> None:
    assert newest(released).state == "promoted"
    assert actions(released) == ["open", "train", "register", "pass", "deploy", "promote"]
    assert served_version(released) == 1
    champion = released.champion()
    assert champion is not None and champion.version == 1
    assert released.services.registry.find_alias("shop", "challenger") is None


def test_drift_leads_through_training_gates_and_canary_to_a_new_champion(drifted: Shop) -> None:
    episode = newest(drifted)
    assert (episode.trigger, episode.state, episode.number) == ("drift", "training", 2)
    assert "recent moved" in episode.reason
    drifted.finish_run(open_run(drifted), quality=0.9)
    drifted.settle()
    assert (newest(drifted).state, served_version(drifted)) == ("releasing", 1)
    assert "0 of 50 requests" in drifted.services.loop.get_state("shop").waiting_for
    for day in (4, 5):
        drifted.request(START + day * DAY, 60, revision=1, weights=WINTER)
        drifted.request(START + day * DAY, 60, revision=2, weights=WINTER)
        drifted.settle()
    assert actions(drifted) == ["open", "train", "register", "pass", "deploy", "advance", "advance", "promote"]
    assert (newest(drifted).state, served_version(drifted)) == ("promoted", 2)
    (alert,) = drifted.services.monitoring.list_alerts("shop")
    assert (alert.status, alert.resolution) == ("resolved", "episode 2 promoted version 2")


def test_a_candidate_that_is_worse_is_refused_with_the_numbers(drifted: Shop) -> None:
    drifted.finish_run(open_run(drifted), quality=0.2)
    drifted.settle()
    assert actions(drifted) == ["open", "train", "register", "refuse"]
    assert (newest(drifted).state, served_version(drifted)) == ("refused", 1)
    (gate,) = drifted.services.loop.get_episode(newest(drifted).id).decisions[-1].evidence["gates"]
    assert (gate["kind"], gate["passed"]) == ("champion", False) and gate["number"] < -0.2
    (alert,) = drifted.services.monitoring.list_alerts("shop")
    assert alert.status == "resolved" and "refused its candidate" in alert.resolution


def test_after_a_refusal_the_cooldown_holds_and_then_the_drift_that_stays_is_tried_again(drifted: Shop) -> None:
    drifted.finish_run(open_run(drifted), quality=0.2)
    drifted.settle()
    drifted.request(START + 3 * DAY, 400, weights=WINTER)
    drifted.settle()
    state = drifted.services.loop.get_state("shop")
    assert state.settled and "cooldown of 2 d" in state.waiting_for
    assert newest(drifted).number == 2
    for day in (4, 5):
        drifted.request(START + day * DAY, 400, weights=WINTER)
    drifted.settle()
    assert (newest(drifted).number, newest(drifted).state) == (3, "training")


def test_a_run_that_fails_ends_the_episode_and_leaves_the_alert_open(drifted: Shop) -> None:
    drifted.fail_run(open_run(drifted), "data 'events' is empty")
    drifted.settle()
    assert (newest(drifted).state, newest(drifted).summary) == ("failed", "data 'events' is empty")
    assert served_version(drifted) == 1
    assert [alert.status for alert in drifted.services.monitoring.list_alerts("shop")] == ["open"]
    assert drifted.services.loop.get_state("shop").settled


def test_without_a_measurement_of_the_champion_nothing_is_promoted(drifted: Shop) -> None:
    drifted.finish_run(open_run(drifted), quality=0.9, compare=False)
    drifted.settle()
    assert newest(drifted).state == "failed"
    assert "was not measured on the same rows" in newest(drifted).summary


def test_a_champion_that_changed_meanwhile_ends_the_episode_clearly(drifted: Shop) -> None:
    run = open_run(drifted)
    drifted.finish_run(run, quality=0.9)
    record = drifted.make_candidate(run.id, 0.7)
    other = drifted.services.registry.register("shop", None, record.model, record.info)
    drifted.services.registry.move_alias("shop", "champion", other.version, "by hand")
    drifted.settle()
    assert newest(drifted).state == "failed" and "the champion changed" in newest(drifted).summary


def test_a_candidate_whose_answers_please_less_is_aborted(trying: Shop) -> None:
    trying.request(START + 4 * DAY, 400, revision=1, clicks=0.9)
    trying.request(START + 4 * DAY, 400, revision=2, clicks=0.1)
    trying.settle()
    assert actions(trying)[-1] == "abort"
    assert (newest(trying).state, served_version(trying)) == ("refused", 1)
    assert "mean reward fell" in newest(trying).summary


def test_a_rollout_waits_for_feedback_that_has_not_come(trying: Shop) -> None:
    trying.request(START + 4 * DAY, 100, revision=1, clicks=None)
    ids = trying.request(START + 4 * DAY, 100, revision=2, clicks=None)
    trying.settle()
    assert newest(trying).state == "releasing"
    state = trying.services.loop.get_state("shop")
    assert state.settled and "rewards are known" in state.waiting_for
    trying.answer(ids, 0.3, START + 5 * DAY)
    assert not trying.services.loop.get_state("shop").settled
    trying.settle()
    assert newest(trying).state == "releasing"  # the stable one's feedback is still unknown


def test_a_revision_that_no_gateway_can_load_is_aborted(trying: Shop) -> None:
    failure = LoadFailure(deployment="shop", revision=2, model="shop", version=2, problem="altered bytes")
    report = GatewayReport(gateway="g", routing=1, revisions={}, failures=[failure], at=trying.clock.now())
    trying.services.serving.report_gateway(report)
    trying.settle()
    assert newest(trying).state == "refused" and "altered bytes" in newest(trying).summary


def test_a_rollback_by_hand_ends_the_episode_and_the_champion_stays(trying: Shop) -> None:
    trying.services.serving.roll_back("shop", "I do not like it")
    trying.settle()
    assert newest(trying).state == "refused" and "I do not like it" in newest(trying).summary
    champion = trying.champion()
    assert champion is not None and champion.version == 1


def test_a_rollout_that_a_person_promotes_ends_the_episode_well(trying: Shop) -> None:
    rollout_id = newest(trying).rollout_id
    assert rollout_id is not None
    trying.services.serving.promote(rollout_id, reason="no need to wait")
    trying.settle()
    champion = trying.champion()
    assert newest(trying).state == "promoted" and champion is not None and champion.version == 2


def test_after_a_rollback_the_champion_is_what_serves_again(released: Shop) -> None:
    released.release(0.7)
    released.services.serving.roll_back("shop", "complaints")
    released.settle()
    champion = released.champion()
    assert champion is not None and champion.version == served_version(released) == 1


def test_cancelling_an_episode_ends_its_run_and_its_rollout(drifted: Shop) -> None:
    run = open_run(drifted)
    cancelled = drifted.services.loop.cancel_episode(newest(drifted).id, "not now")
    assert (cancelled.state, cancelled.summary) == ("failed", "not now")
    assert drifted.services.pipelines.get_run(run.id).status == "killed"
    with pytest.raises(ConflictError, match="has ended"):
        drifted.services.loop.cancel_episode(cancelled.id)
    with pytest.raises(NotFoundError):
        drifted.services.loop.cancel_episode("nothing")


def test_new_data_open_an_episode_and_one_is_open_at_a_time(released: Shop) -> None:
    released.services.loop.open_episode("shop", "by hand")
    with pytest.raises(ConflictError, match="still opened"):
        released.services.loop.open_episode("shop")
    released.settle()
    assert newest(released).reason == "by hand"


def test_only_the_holder_of_the_lease_acts_and_another_takes_over_when_it_is_gone(shop: Shop) -> None:
    first, second = make_controller(shop, "first"), make_controller(shop, "second")
    shop.services.loop.open_episode("shop")
    assert first.tick()
    assert not second.tick()
    shop.finish_run(open_run(shop))
    assert not second.tick()
    shop.clock.advance(seconds=LEASE_S + 1)
    assert second.tick()
    assert not first.tick()  # it finds the lease taken
    while second.tick():
        pass
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


def test_the_loop_is_settled_only_when_it_has_looked_at_everything(shop: Shop) -> None:
    state = shop.services.loop.get_state("shop")
    assert not state.settled and "penstock up" in state.waiting_for
    shop.settle()
    state = shop.services.loop.get_state("shop")
    assert state.settled and "penstock run" in state.waiting_for
    shop.services.loop.open_episode("shop")
    assert not shop.services.loop.get_state("shop").settled
    shop.settle()
    state = shop.services.loop.get_state("shop")
    assert not state.settled and "a worker to take up run" in state.waiting_for
    shop.finish_run(open_run(shop))
    shop.settle()
    assert shop.services.loop.get_state("shop").waiting_for == "new traffic, outcomes or data"
    shop.request(START, 10)
    assert not shop.services.loop.get_state("shop").settled
    shop.settle()
    assert shop.services.loop.get_state("shop").settled


def test_every_decision_is_audited_and_leads_from_the_alert_to_the_model(drifted: Shop) -> None:
    governance = GovernanceService(drifted.db)
    events = governance.list_events(subject=f"episode:{newest(drifted).id}")
    assert [event.action for event in events] == ["loop.open", "loop.train"]
    refs = {str(ref) for ref in governance.trace_lineage(f"episode:{newest(drifted).id}").refs}
    assert {f"alert:{newest(drifted).alert_id}", "model-version:shop/1"} <= refs
    assert governance.verify_audit().is_whole


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """The story as one controller that never dies tells it."""
    return run_story(Shop(tmp_path_factory.mktemp("calm")), crashing="")


@pytest.mark.parametrize("point", ["loop.before_decision", "loop.after_decision", "storage.writer.before_commit"])
def test_a_crash_at_every_step_is_made_up_for_and_nothing_is_done_twice(
    tmp_path: Path, undisturbed: tuple[object, ...], point: str
) -> None:
    assert run_story(Shop(tmp_path), crashing=f"{point}=eio@1") == undisturbed


@pytest.mark.every(2)
@pytest.mark.parametrize("seed", [1, 2])
def test_three_controllers_on_a_jumping_clock_end_in_the_same_state(
    tmp_path: Path, undisturbed: tuple[object, ...], seed: int
) -> None:
    shop = Shop(tmp_path)
    chance = random.Random(seed)
    controllers = [make_controller(shop, name) for name in ("a", "b", "c")]

    def turn() -> None:
        for _ in range(25):
            chance.choice(controllers).tick()
            shop.clock.advance(seconds=chance.choice([0, 0.1, 3, LEASE_S + 1]))
        while not shop.services.loop.get_state("shop").settled and open_state(shop) not in ("training", ""):
            chance.choice(controllers).tick()
            shop.clock.advance(seconds=LEASE_S + 1)

    assert tell_story(shop, turn) == undisturbed


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


def test_a_version_released_by_hand_is_the_champion(released: Shop) -> None:
    version = register(released, 0.7)
    released.services.serving.deploy("shop", "shop", version)
    released.settle()
    assert champion_version(released) == version == 2


def test_a_champion_named_by_hand_stays_until_it_is_deployed(released: Shop) -> None:
    version = register(released, 0.7)
    released.clock.advance(seconds=1)
    released.services.registry.move_alias("shop", "champion", version, "approved")
    released.settle()
    assert champion_version(released) == version
    released.services.serving.deploy("shop", "shop", version)
    released.services.registry.move_alias("shop", "champion", 1, "the first one after all")
    released.settle()
    assert (champion_version(released), served_version(released)) == (1, version)


def test_an_earlier_rollback_does_not_count_once_its_version_was_released_again(released: Shop) -> None:
    second = released.release(0.7).version
    released.services.serving.roll_back("shop", "complaints")
    released.settle()
    released.clock.advance(seconds=1)
    released.services.serving.deploy("shop", "shop", second)
    released.settle()
    assert champion_version(released) == second


def test_a_canary_started_by_hand_is_judged_and_promoted(released: Shop) -> None:
    version = register(released, 0.7)
    released.services.serving.deploy("shop", "shop", version, strategy="canary", steps=(0.5, 1.0), min_requests=50)
    released.settle()
    assert "rollout at 50%: 0 of 50 requests" in released.services.loop.get_state("shop").waiting_for
    for day in (4, 5):
        released.request(START + day * DAY, 60, revision=1)
        released.request(START + day * DAY, 60, revision=2)
        released.settle()
    assert served_version(released) == champion_version(released) == version


def test_a_canary_started_by_hand_that_fails_is_aborted_even_while_an_episode_waits(released: Shop) -> None:
    version = register(released, 0.7)
    rollout = released.services.serving.deploy("shop", "shop", version, strategy="canary", steps=(0.5, 1.0))
    released.services.loop.open_episode("shop")
    released.request(START, 200, revision=1)
    released.request(START, 200, revision=2, errors=150)
    released.settle()
    assert released.services.serving.get_rollout(rollout.id).state == "aborted"
    assert newest(released).state == "training" and champion_version(released) == 1


def test_a_champion_that_a_person_chose_after_its_rollout_was_aborted_stays(released: Shop) -> None:
    version = register(released, 0.7)
    rollout = released.services.serving.deploy("shop", "shop", version, strategy="canary", steps=(0.5, 1.0))
    released.services.serving.abort(rollout.id, "not today")
    released.settle()
    assert champion_version(released) == 1
    released.clock.advance(seconds=60)
    released.services.registry.move_alias("shop", "champion", version, "it was the wrong day")
    released.settle()
    assert champion_version(released) == version


def test_a_promotion_that_is_taken_back_at_once_makes_no_champion(trying: Shop) -> None:
    rollout_id = newest(trying).rollout_id
    assert rollout_id is not None
    trying.services.serving.promote(rollout_id)
    trying.services.serving.roll_back("shop", "a mistake")
    trying.settle()
    assert newest(trying).state == "refused" and "out of the traffic" in newest(trying).summary
    moves = trying.services.registry.alias_history("shop", "champion")
    assert [move.after for move in moves] == [1]


def test_a_model_that_was_rolled_back_does_not_come_back_under_a_new_number(released: Shop) -> None:
    bad = released.release(0.9)
    released.services.serving.roll_back("shop", "complaints")
    released.settle()
    released.services.loop.open_episode("shop")
    released.settle()
    run = open_run(released)
    released.finish_run(run, quality=0.9, again=bad)
    released.settle()
    assert newest(released).state == "refused" and "version 2, which was rolled back" in newest(released).summary
    assert served_version(released) == 1


def test_a_step_that_a_person_took_meanwhile_is_not_taken_twice(released: Shop) -> None:
    version = register(released, 0.7)
    serving = released.services.serving
    rollout = serving.deploy("shop", "shop", version, strategy="canary", steps=(0.1, 0.5, 1.0))
    serving.advance(rollout.id, step=0)
    with pytest.raises(ConflictError, match="at step 1, not 0"):
        serving.advance(rollout.id, step=0)
    assert serving.get_rollout(rollout.id).share == 0.5

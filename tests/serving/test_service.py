"""Rollouts as state machines: who gets traffic, and that aborts and rollbacks always win."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penstock.core import failpoints
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import RolloutId
from penstock.core.project.types import GuardSection
from penstock.registry.format.types import ModelFacts
from penstock.serving.types import Fence, GatewayReport, Rollout
from penstock.storage.leases import acquire_lease
from penstock.storage.references import list_kept
from serving.models import Backend, make_ranking, write_model


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend(tmp_path: Path, clock: ManualClock) -> Iterator[Backend]:
    held = Backend(tmp_path, clock)
    info = write_model(make_ranking(), tmp_path / "model", "ranking")
    for number in range(1, 6):
        (tmp_path / "model" / "note").write_text(str(number))
        held.registry.register("shop", None, held.objects.put_tree(tmp_path / "model"), info)
    yield held
    held.close()


def start_canary(backend: Backend, version: int = 2, steps: tuple[float, ...] = (0.1, 0.5)) -> Rollout:
    backend.serving.deploy("shop", "shop", 1)
    return backend.serving.deploy("shop", "shop", version, strategy="canary", steps=steps)


def versions(backend: Backend) -> tuple[int, int | None, float]:
    (route,) = backend.serving.routing().deployments
    return route.stable.version, route.candidate.version if route.candidate else None, route.share


def test_a_first_release_takes_all_traffic_at_once(backend: Backend) -> None:
    rollout = backend.serving.deploy("shop", "shop", 1, strategy="canary", key="user")
    assert (rollout.state, rollout.strategy, rollout.share) == ("promoted", "direct", 1.0)
    assert versions(backend) == (1, None, 0.0)
    assert backend.serving.routing().deployments[0].key == "user"


def test_a_canary_goes_step_by_step_and_is_promoted_after_the_last(backend: Backend) -> None:
    rollout = start_canary(backend)
    assert versions(backend) == (1, 2, 0.1)
    backend.serving.advance(rollout.id, evidence={"requests": 300})
    assert versions(backend) == (1, 2, 0.5)
    ended = backend.serving.advance(rollout.id)
    assert versions(backend) == (2, None, 0.0)
    assert [event.action for event in ended.events] == ["start", "advance", "promote"]
    assert ended.events[1].evidence == {"requests": 300}
    assert [event.share for event in ended.events] == [0.1, 0.5, 1.0]
    assert backend.serving.get_rollout(rollout.id) == ended


def test_the_routing_number_grows_with_every_change_and_only_then(backend: Backend) -> None:
    numbers = [backend.serving.routing().number]
    rollout = start_canary(backend)
    numbers.append(backend.serving.routing().number)
    backend.serving.advance(rollout.id)
    numbers.append(backend.serving.routing().number)
    backend.serving.abort(rollout.id)
    numbers.append(backend.serving.routing().number)
    assert numbers == sorted(set(numbers))
    backend.serving.abort(rollout.id)
    with pytest.raises(ConflictError):
        backend.serving.advance(rollout.id)
    assert backend.serving.routing().number == numbers[-1]


def test_an_abort_gives_all_traffic_back_and_is_final(backend: Backend) -> None:
    rollout = start_canary(backend)
    ended = backend.serving.abort(rollout.id, "errors", evidence={"failures": 9})
    assert versions(backend) == (1, None, 0.0)
    assert backend.serving.abort(rollout.id) == ended
    for verb in (backend.serving.advance, backend.serving.promote):
        with pytest.raises(ConflictError, match="is aborted"):
            verb(rollout.id)
    assert backend.serving.list_revisions("shop")[0].state == "aborted"


def test_a_rollback_aborts_what_runs(backend: Backend) -> None:
    rollout = start_canary(backend)
    held = backend.serving.roll_back("shop", "complaints")
    assert held.stable is not None and held.stable.version == 1 and held.candidate is None
    assert backend.serving.get_rollout(rollout.id).state == "aborted"


def test_rollbacks_walk_back_over_good_revisions_only(backend: Backend) -> None:
    for version in (1, 2, 3):
        backend.serving.deploy("shop", "shop", version)
    backend.serving.roll_back("shop")
    assert versions(backend) == (2, None, 0.0)
    backend.serving.deploy("shop", "shop", 4)
    backend.serving.roll_back("shop")
    assert versions(backend) == (2, None, 0.0)
    backend.serving.roll_back("shop")
    assert versions(backend) == (1, None, 0.0)
    with pytest.raises(ConflictError, match="no earlier revision"):
        backend.serving.roll_back("shop")
    assert versions(backend) == (1, None, 0.0)


def test_the_revision_before_stands_by(backend: Backend) -> None:
    for version in (1, 2, 3):
        backend.serving.deploy("shop", "shop", version)
    previous = backend.serving.routing().deployments[0].previous
    assert previous is not None and previous.version == 2
    backend.serving.roll_back("shop")
    previous = backend.serving.routing().deployments[0].previous
    assert previous is not None and previous.version == 1


def test_a_second_rollout_waits_for_the_first(backend: Backend) -> None:
    start_canary(backend)
    with pytest.raises(ConflictError, match="has a rollout that runs"):
        backend.serving.deploy("shop", "shop", 3)
    assert versions(backend) == (1, 2, 0.1)


def test_a_promoted_rollout_cannot_be_aborted(backend: Backend) -> None:
    rollout = start_canary(backend)
    backend.serving.promote(rollout.id, reason="by hand")
    assert versions(backend) == (2, None, 0.0)
    with pytest.raises(ConflictError, match="penstock rollback shop"):
        backend.serving.abort(rollout.id)


@pytest.mark.parametrize("steps", [(), (0.5, 0.1), (0.0, 1.0), (0.5, 1.5), (0.2, 0.2)])
def test_steps_that_make_no_sense_are_refused(backend: Backend, steps: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        backend.serving.deploy("shop", "shop", 1, strategy="canary", steps=steps)
    assert caught.value.field == "steps"


def test_unknown_things_are_named(backend: Backend) -> None:
    with pytest.raises(NotFoundError, match="no version 99"):
        backend.serving.deploy("shop", "shop", 99)
    with pytest.raises(NotFoundError, match="no deployment 'other'"):
        backend.serving.roll_back("other")
    with pytest.raises(NotFoundError, match="no rollout"):
        backend.serving.get_rollout(RolloutId("nothing"))
    with pytest.raises(InvalidInputError, match="no strategy 'shade'"):
        backend.serving.deploy("shop", "shop", 1, strategy="shade")  # type: ignore[arg-type]
    assert backend.serving.list_deployments() == []


def test_a_controller_that_lost_its_lease_changes_nothing(backend: Backend, clock: ManualClock) -> None:
    rollout = start_canary(backend)
    first = backend.db.write(acquire_lease, "loop", "one", timedelta(seconds=30))
    assert first is not None
    clock.advance(seconds=31)
    second = backend.db.write(acquire_lease, "loop", "two", timedelta(seconds=30))
    assert second is not None
    stale, held = Fence("loop", first.fence), Fence("loop", second.fence)
    for attempt in (
        lambda: backend.serving.advance(rollout.id, fence=stale),
        lambda: backend.serving.promote(rollout.id, fence=stale),
        lambda: backend.serving.abort(rollout.id, fence=stale),
        lambda: backend.serving.deploy("shop", "shop", 3, fence=stale),
    ):
        with pytest.raises(ConflictError, match="no longer held"):
            attempt()
    assert versions(backend) == (1, 2, 0.1)
    backend.serving.advance(rollout.id, fence=held)
    assert versions(backend) == (1, 2, 0.5)


def test_a_failure_at_the_switch_leaves_the_old_state(backend: Backend) -> None:
    rollout = start_canary(backend)
    before = backend.serving.routing()
    failpoints.arm("serving.traffic_switch=eio")
    try:
        with pytest.raises(Exception, match=r"serving\.traffic_switch|cannot write"):
            backend.serving.promote(rollout.id)
    finally:
        failpoints.arm("")
    assert backend.serving.routing() == before
    assert backend.serving.get_rollout(rollout.id) == rollout


def test_a_rollout_keeps_its_guard_and_its_model_directory(backend: Backend) -> None:
    guard = GuardSection(error_rate=0.01, latency_p99_ms=50)
    rollout = backend.serving.deploy("shop", "shop", 1, guard=guard, min_requests=7)
    held = backend.serving.get_rollout(rollout.id)
    assert (held.guard, held.min_requests) == (guard, 7)
    tree = backend.registry.get_version("shop", 1).tree
    assert ("revision:shop/1", tree) in [(str(owner), digest) for owner, digest in backend.db.read(list_kept)]


def test_only_the_last_report_of_a_gateway_is_kept(backend: Backend, clock: ManualClock) -> None:
    for number in (1, 2):
        report = GatewayReport(gateway="g1", routing=number, revisions={"shop": [number]}, at=clock.now())
        backend.serving.report_gateway(report)
    (held,) = backend.serving.list_gateways()
    assert (held.routing, held.revisions) == (2, {"shop": [2]})
    clock.advance(minutes=2)
    assert backend.serving.list_gateways() == []


class RolloutMachine(RuleBasedStateMachine):
    """Any order of verbs: traffic adds up, numbers grow, and what was ended stays without traffic."""

    backend: Backend  # set by the test below

    def __init__(self) -> None:
        super().__init__()
        self.name = f"d{len(self.backend.serving.list_deployments())}"
        self.dead: set[int] = set()
        self.number = self.backend.serving.routing().number

    @rule(version=st.integers(1, 5), strategy=st.sampled_from(["direct", "canary"]))
    def deploy(self, version: int, strategy: str) -> None:
        self._try(lambda: self.backend.serving.deploy(self.name, "shop", version, strategy=strategy, steps=(0.1, 0.6)))  # type: ignore[arg-type]

    @precondition(lambda self: self._rollouts())
    @rule(verb=st.sampled_from(["advance", "promote", "abort"]), place=st.integers(0, 3))
    def move(self, verb: str, place: int) -> None:
        rollouts = self._rollouts()
        rollout = rollouts[place % len(rollouts)]
        if self._try(lambda: getattr(self.backend.serving, verb)(rollout.id)) and verb == "abort":
            self.dead.add(rollout.revision)

    @rule()
    def roll_back(self) -> None:
        held = self._held()
        if self._try(lambda: self.backend.serving.roll_back(self.name)):
            ended = held.candidate or held.stable
            self.dead.add(ended.number)

    @invariant()
    def traffic_is_sound(self) -> None:
        routing = self.backend.serving.routing()
        assert routing.number >= self.number
        self.number = routing.number
        route = next((item for item in routing.deployments if item.deployment == self.name), None)
        if route is None:
            return
        assert 0 <= route.share <= 1
        assert (route.candidate is None) == (route.share == 0)
        named = {item.number for item in (route.stable, route.candidate, route.previous) if item}
        assert not named & self.dead
        assert sum(item.state == "running" for item in self._rollouts()) == (route.candidate is not None)

    def _held(self):  # type: ignore[no-untyped-def]
        return next((item for item in self.backend.serving.list_deployments() if item.name == self.name), None)

    def _rollouts(self) -> list[Rollout]:
        return self.backend.serving.list_rollouts(self.name)

    def _try(self, work) -> bool:  # type: ignore[no-untyped-def]
        try:
            work()
        except (ConflictError, NotFoundError):
            return False
        return True


def test_any_order_of_verbs_keeps_traffic_sound(backend: Backend) -> None:
    RolloutMachine.backend = backend
    case = RolloutMachine.TestCase
    case.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
    case().runTest()


def test_what_takes_all_traffic_is_not_released_again(backend: Backend) -> None:
    backend.serving.deploy("shop", "shop", 1)
    with pytest.raises(ConflictError, match="version 1 of model 'shop' answers all requests"):
        backend.serving.deploy("shop", "shop", 1, strategy="canary")
    assert len(backend.serving.list_revisions("shop")) == 1


def test_versions_in_traffic_or_next_in_line_are_not_deleted(backend: Backend) -> None:
    backend.serving.deploy("shop", "shop", 1)
    backend.serving.deploy("shop", "shop", 2)
    backend.serving.deploy("shop", "shop", 3, strategy="canary", steps=(0.1, 0.5))
    for version in (1, 2, 3):  # where a rollback leads, what is stable, what is tried
        with pytest.raises(ConflictError, match=f"version {version} of model 'shop' is in use by deployment 'shop'"):
            backend.registry.delete_version("shop", version)
    with pytest.raises(ConflictError, match="is in use by deployment 'shop'"):
        backend.registry.delete_model("shop")
    backend.registry.delete_version("shop", 4)


def test_a_version_that_penstock_cannot_load_is_not_deployed(backend: Backend) -> None:
    tree = backend.registry.get_version("shop", 1).tree
    backend.registry.create_model("elsewhere")
    backend.registry.add_version("elsewhere", "s3://bucket/model")
    backend.registry.add_version("elsewhere", "runs:/r/model", tree=tree)
    told = ["was registered without its files", "without a readable MLmodel file"]
    for version, why in enumerate(told, 1):
        with pytest.raises(ConflictError, match=why):
            backend.serving.deploy("shop", "elsewhere", version)
    assert backend.serving.list_deployments() == []


def test_a_version_that_mlflow_saved_is_deployed(backend: Backend) -> None:
    tree = backend.registry.get_version("shop", 1).tree
    backend.registry.create_model("elsewhere")
    backend.registry.add_version("elsewhere", "runs:/r/model", tree=tree, facts=ModelFacts(flavor="sklearn"))
    assert backend.serving.deploy("shop", "elsewhere", 1).state == "promoted"


def test_a_deployment_goes_on_after_its_model_was_renamed(backend: Backend) -> None:
    backend.serving.deploy("shop", "shop", 1)
    backend.registry.rename_model("shop", "the shop")
    assert backend.registry.get_version(versions_model(backend), 1).model == "the shop"
    backend.serving.deploy("shop", "the shop", 2)
    assert versions(backend)[0] == 2


def versions_model(backend: Backend) -> str:
    (route,) = backend.serving.routing().deployments
    return route.stable.model

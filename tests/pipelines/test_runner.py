"""The order in which steps run, without processes."""

import threading
from datetime import UTC, datetime

import pytest

from patience import PATIENCE_S
from penstock.core.ids import Digest, RunId
from penstock.pipelines.child_spec import AnyGiven, GivenMany, GivenStored, GivenValue
from penstock.pipelines.graph import CandidateNode, FromData, FromMany, FromStep, FromValue, Graph, Limits, StepNode
from penstock.pipelines.keys import KeyParts
from penstock.pipelines.runner import StepFailedError, resolve, run_graph
from penstock.pipelines.types import StepRun, StepStatus
from penstock.pipelines.values.types import StoredValue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALUE = StoredValue(kind="json", digest=Digest("1" * 64))


def node(name: str, *needs: str, cpus: float = 1.0) -> StepNode:
    arguments = {f"from_{need}": FromStep(need) for need in needs}
    return StepNode(name=name, function=f"pipeline:{name}", arguments=arguments, limits=Limits(cpus=cpus))


def graph(*steps: StepNode) -> Graph:
    end = CandidateNode(model=FromStep(steps[-1].name), test=FromStep(steps[-1].name))
    return Graph(pipeline="pipeline:train", params={}, steps=steps, candidate=end)


def done(number: int, step: StepNode) -> StepRun:
    parts = KeyParts(function=step.function, code={}, params={}, inputs={}, environment="", seed=0)
    return StepRun(
        run_id=RunId("r"),
        name=step.name,
        number=number,
        status=StepStatus.FINISHED,
        key=parts.key,
        parts=parts,
        output=VALUE,
        started_at=NOW,
    )


def test_steps_that_do_not_need_each_other_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=PATIENCE_S)

    def run(number: int, step: StepNode, given: dict[str, AnyGiven]) -> StepRun:
        if step.name in ("left", "right"):
            meeting.wait()
        return done(number, step)

    steps = node("top"), node("left", "top"), node("right", "top"), node("end", "left", "right")
    assert set(run_graph(graph(*steps), {}, run, cpus=2)) == {"top", "left", "right", "end"}


def test_no_more_cpus_are_used_than_there_are() -> None:
    busy, most, lock = 0.0, 0.0, threading.Lock()

    def run(number: int, step: StepNode, given: dict[str, AnyGiven]) -> StepRun:
        nonlocal busy, most
        with lock:
            busy += step.limits.cpus
            most = max(most, busy)
        threading.Event().wait(0.01)
        with lock:
            busy -= step.limits.cpus
        return done(number, step)

    steps = [node(f"s{n}", cpus=1.0 + n % 2) for n in range(8)]
    run_graph(graph(*steps, node("huge", cpus=2.0)), {}, run, cpus=2)
    assert most <= 2.0
    assert set(run_graph(graph(node("huge", cpus=64.0)), {}, run, cpus=2)) == {"huge"}


def test_after_a_failure_nothing_new_begins_but_what_runs_may_finish() -> None:
    finished: list[str] = []
    failed = threading.Event()

    def run(number: int, step: StepNode, given: dict[str, AnyGiven]) -> StepRun:
        if step.name == "bad":
            failed.set()
            raise StepFailedError("bad failed")
        failed.wait(PATIENCE_S)
        finished.append(step.name)
        return done(number, step)

    with pytest.raises(StepFailedError, match="bad failed"):
        run_graph(graph(node("bad"), node("good"), node("later", "good")), {}, run, cpus=4)
    assert finished == ["good"]


def test_arguments_become_what_a_child_is_given() -> None:
    part = StoredValue(kind="json", digest=Digest("2" * 64))
    values = {"split": StoredValue(kind="tuple", items=(VALUE, part))}
    many = FromMany((FromStep("split", 1), FromValue(3)))
    assert resolve(many, {}, values) == GivenMany((GivenStored(part), GivenValue(3)))
    assert resolve(FromData("people"), {"people": VALUE}, {}) == GivenStored(VALUE)


def test_a_step_that_gave_fewer_values_than_promised_is_named() -> None:
    with pytest.raises(StepFailedError, match=r"step 'split' gave one value \(json\), not a tuple"):
        resolve(FromStep("split", 1), {}, {"split": VALUE})

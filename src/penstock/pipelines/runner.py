"""Runs the steps of a graph: each when what it needs is done, from the cache where possible, again where it failed."""

import logging
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Protocol

from msgspec import structs

from penstock.core import codec
from penstock.core.errors import CorruptDataError, PenstockError
from penstock.core.ids import RunId
from penstock.pipelines.child_spec import AnyGiven, ChildSpec, GivenMany, GivenStored, GivenValue
from penstock.pipelines.code import ProjectCode
from penstock.pipelines.graph import AnyArgument, FromChampion, FromData, FromMany, FromStep, Graph, StepNode
from penstock.pipelines.keys import KeyParts
from penstock.pipelines.types import StepRun, StepStatus
from penstock.pipelines.values.types import StoredValue
from penstock.pipelines.workplace import HaltedError, Workplace

log = logging.getLogger(__name__)

OWN_MODULES = "penstock."
CHAMPION_MODEL = "@champion"  # among the data, where there is one that a step goes on from
LONGEST_PAUSE_S = 30.0
MOST_THREADS = 32


class StepFailedError(PenstockError):
    """A step failed, and its retries are used up."""

    code = "STEP_FAILED"
    http_status = 409


class StepBook(Protocol):
    """What is known of the steps of one run, and of equal steps of others. Called from several threads."""

    def now(self) -> datetime:
        """The present moment, UTC."""
        ...

    def find_step(self, name: str) -> StepRun | None:
        """The step as it stands in this run; None when it was never begun."""
        ...

    def find_cached(self, key: str) -> StepRun | None:
        """A step of any run that has this key and a result."""
        ...

    def record_step(self, step: StepRun) -> None:
        """Note where a step stands."""
        ...

    def keep_log(self, step: str, log: Path) -> None:
        """Keep what a step has written so far."""
        ...


class StepRunner:
    """Runs single steps of one run.

    Args:
        place: the surroundings.
        book: what is known of steps.
        run_id: the run.
        environment: digest of the interpreter and all packages.
        seed: what chance starts from.
        halt: set when the run has to be left.
        libraries: what the project's code imports.
        first_pause_s: before the first retry; doubled for each further one.
    """

    def __init__(
        self,
        place: Workplace,
        book: StepBook,
        *,
        run_id: RunId,
        environment: str,
        seed: int,
        halt: Event,
        libraries: tuple[str, ...] = (),
        first_pause_s: float = 1.0,
    ) -> None:
        self._place = place
        self._book = book
        self._run_id = run_id
        self._environment = environment
        self._seed = seed
        self._halt = halt
        self._libraries = libraries
        self._first_pause_s = first_pause_s
        self._code = ProjectCode(place.root)

    def run(self, number: int, node: StepNode, given: dict[str, AnyGiven]) -> StepRun:
        """Bring a step to its result: the one it has, one of an equal step, or a new one.

        Raises:
            StepFailedError: it failed, and its retries are used up.
            HaltedError: the run has to be left.
        """
        parts = self._parts(node, given)
        known = self._book.find_step(node.name)
        if known is not None and known.status.is_done and known.key == parts.key and self._is_held(known):
            return known
        step = StepRun(
            run_id=self._run_id,
            name=node.name,
            number=number,
            status=StepStatus.RUNNING,
            attempt=0,
            key=parts.key,
            parts=parts,
            started_at=self._book.now(),
        )
        cached = self._book.find_cached(step.key) if node.limits.cache else None
        if cached is not None and self._is_held(cached):
            return self._record(step, StepStatus.CACHED, output=cached.output, message=f"from run {cached.run_id}")
        before = known.attempt if known is not None and known.key == step.key else 0
        return self._try(step, node, given, before)

    def _try(self, step: StepRun, node: StepNode, given: dict[str, AnyGiven], before: int) -> StepRun:
        for number in range(1, node.limits.retries + 2):
            step = structs.replace(step, attempt=before + number, started_at=self._book.now())
            self._book.record_step(step)
            log.info("step started", extra={"run": self._run_id, "step": node.name, "attempt": step.attempt})
            step = self._attempt(step, node, given)
            if step.status.is_done:
                return step
            log.warning("step failed: %s", step.message, extra={"run": self._run_id, "step": node.name})
            is_last = number > node.limits.retries
            if not is_last and self._halt.wait(min(self._first_pause_s * 2 ** (number - 1), LONGEST_PAUSE_S)):
                raise HaltedError
        tries = f" after {node.limits.retries + 1} tries" if node.limits.retries else ""
        raise StepFailedError(f"step {node.name!r} failed{tries}: {step.message}")

    def _attempt(self, step: StepRun, node: StepNode, given: dict[str, AnyGiven]) -> StepRun:
        folder = self._place.folder(self._run_id, node.name)
        spec = ChildSpec(
            name=node.name,
            function=node.function,
            root=str(self._place.root),
            arguments=given,
            store=self._place.address,
            seed=self._seed,
            result=str(folder / "result.json"),
        )
        answer, ended = self._place.run_child(self._run_id, spec, node.limits, self._halt, libraries=self._libraries)
        self._book.keep_log(node.name, folder / "log.txt")
        used = structs.replace(step, cpu_s=ended.cpu_s, peak_memory_bytes=ended.peak_memory_bytes)
        if answer.output is None:
            return self._record(used, StepStatus.FAILED, message=answer.error or "the process gave no result")
        return self._record(used, StepStatus.FINISHED, output=answer.output)

    def _record(
        self, step: StepRun, status: StepStatus, *, output: StoredValue | None = None, message: str = ""
    ) -> StepRun:
        ended = structs.replace(step, status=status, output=output, message=message, ended_at=self._book.now())
        self._book.record_step(ended)
        return ended

    def _parts(self, node: StepNode, given: dict[str, AnyGiven]) -> KeyParts:
        is_own = node.function.startswith(OWN_MODULES)  # its code is a part of the environment
        return KeyParts(
            function=node.function,
            code={} if is_own else self._code.digests(node.function),
            params={name: each.value for name, each in given.items() if isinstance(each, GivenValue)},
            inputs={name: _identity(each) for name, each in given.items() if not isinstance(each, GivenValue)},
            environment=self._environment,
            seed=self._seed,
        )

    def _is_held(self, step: StepRun) -> bool:
        """Whether the object store still has what the step gave."""
        return step.output is not None and all(self._place.objects.has(digest) for digest in step.output.digests)


def run_graph(
    graph: Graph,
    data: dict[str, StoredValue],
    run_step: Callable[[int, StepNode, dict[str, AnyGiven]], StepRun],
    cpus: float,
) -> dict[str, StoredValue]:
    """Run all steps, several at a time where they do not need each other and CPUs are free.

    Args:
        graph: the pipeline.
        data: what is read, by the name in the project file; and the present champion.
        run_step: runs one step; called from several threads with its place in the pipeline, from 1.
        cpus: how many CPUs the steps may use together.

    Returns:
        What each step gave.

    Raises:
        StepFailedError: a step failed; those that ran beside it were let finish.
    """
    values: dict[str, StoredValue] = {}
    waiting = dict(enumerate(graph.steps, start=1))
    running: dict[Future[StepRun], StepNode] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="step") as pool:
        while running or (waiting and failure is None):
            for number, node in list(waiting.items()) if failure is None else ():
                free = cpus - sum(each.limits.cpus for each in running.values())
                fits = node.limits.cpus <= free or not running  # one that wants more than there is runs alone
                if fits and node.needs <= values.keys():
                    given = {name: resolve(each, data, values) for name, each in node.arguments.items()}
                    running[pool.submit(run_step, number, node, given)] = waiting.pop(number)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                node = running.pop(future)
                error = future.exception()
                failure = failure or error
                if error is None:
                    values[node.name] = _output_of(future.result())
    if failure is not None:
        raise failure
    return values


def resolve(argument: AnyArgument, data: dict[str, StoredValue], values: dict[str, StoredValue]) -> AnyGiven:
    """An argument of the graph as what a child process is given."""
    if isinstance(argument, FromMany):
        return GivenMany(tuple(resolve(item, data, values) for item in argument.items))
    if isinstance(argument, FromData):
        return GivenStored(data[argument.name])
    if isinstance(argument, FromChampion):
        return GivenStored(data[CHAMPION_MODEL]) if CHAMPION_MODEL in data else GivenValue(None)
    if isinstance(argument, FromStep):
        return GivenStored(_part(argument, values[argument.step]))
    return GivenValue(argument.value)


def _part(argument: FromStep, value: StoredValue) -> StoredValue:
    if argument.index is None:
        return value
    if value.kind != "tuple" or argument.index >= len(value.items):
        what = f"{len(value.items)} values" if value.kind == "tuple" else f"one value ({value.kind}), not a tuple"
        raise StepFailedError(
            f"step {argument.step!r} gave {what}, and the pipeline uses number {argument.index + 1} of them",
            hint="let its annotation say what it returns",
        )
    return value.items[argument.index]


def _identity(given: AnyGiven) -> str:
    if isinstance(given, GivenStored):
        return given.stored.identity
    if isinstance(given, GivenMany):
        return codec.encode_text([_identity(item) for item in given.items])
    return codec.encode_text(given.value) if isinstance(given, GivenValue) else "store"


def _output_of(step: StepRun) -> StoredValue:
    if step.output is None:
        raise CorruptDataError(f"step {step.name!r} of run {step.run_id} has no result")
    return step.output

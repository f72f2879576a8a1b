"""Tracing: while a pipeline function runs under a tracer, steps write nodes into a graph instead of running."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, NoReturn

from penstock.core.errors import InvalidInputError
from penstock.pipelines.graph import (
    AnyArgument,
    FromChampion,
    FromData,
    FromMany,
    FromStep,
    FromValue,
    Limits,
    StepNode,
    check_plain,
)

_current: contextvars.ContextVar["Tracer | None"] = contextvars.ContextVar("penstock_tracer", default=None)


class Placeholder:
    """Stands for a value that is not known while the pipeline is traced; it can only be passed on."""

    def __init__(self, argument: AnyArgument, what: str) -> None:
        self._argument = argument
        self._what = what

    def __repr__(self) -> str:
        return f"<{self._what}, not known yet>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks for those in passing
            raise AttributeError(name)
        self._refuse(f"asked for its attribute {name!r}")

    def __getitem__(self, key: object) -> Any:
        self._refuse(f"asked for its item {key!r}")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("unpacked; where a step gives a tuple, its annotation says how many: -> tuple[A, B]")

    def __bool__(self) -> bool:
        self._refuse("tested")

    def __len__(self) -> int:
        self._refuse("measured")

    def _refuse(self, what: str) -> NoReturn:
        raise InvalidInputError(
            f"{self._what} is not known while the pipeline is traced and cannot be {what}",
            hint="pass it to a step, and do this inside the step",
        )


class Tracer:
    """Collects the steps that a pipeline function calls."""

    def __init__(self) -> None:
        self.steps: list[StepNode] = []
        self._calls: dict[str, int] = {}

    def add(self, name: str, function: str, arguments: dict[str, Any], limits: Limits, outputs: int | None) -> Any:
        """Write down a call; returns a placeholder, or a tuple of them when the step gives `outputs` values."""
        count = self._calls[name] = self._calls.get(name, 0) + 1
        node_name = name if count == 1 else f"{name}_{count}"
        given = {key: to_argument(value, f"argument {key!r} of step {name!r}") for key, value in arguments.items()}
        self.steps.append(StepNode(name=node_name, function=function, arguments=given, limits=limits))
        what = f"the result of step {node_name!r}"
        if outputs is None:
            return Placeholder(FromStep(node_name), what)
        return tuple(Placeholder(FromStep(node_name, index), f"{what} [{index}]") for index in range(outputs))


def to_argument(value: Any, where: str) -> AnyArgument:
    """A value as the pipeline function passes it on, as an argument of the graph.

    Raises:
        InvalidInputError: it is neither a placeholder nor a plain value.
    """
    if isinstance(value, Placeholder):
        return value._argument
    if isinstance(value, list | tuple) and any(_holds_placeholder(item) for item in value):
        return FromMany(tuple(to_argument(item, where) for item in value))
    return FromValue(check_plain(value, where))


def data_placeholder(name: str) -> Placeholder:
    """Stands for the rows of `[data.NAME]`."""
    return Placeholder(FromData(name), f"the data {name!r}")


def champion_placeholder() -> Placeholder:
    """Stands for the present champion."""
    return Placeholder(FromChampion(), "the champion")


def current_tracer() -> Tracer | None:
    """The tracer that is at work here, if any."""
    return _current.get()


@contextlib.contextmanager
def tracing() -> Iterator[Tracer]:
    """Let steps that are called inside write into a new tracer."""
    tracer = Tracer()
    token = _current.set(tracer)
    try:
        yield tracer
    finally:
        _current.reset(token)


def _holds_placeholder(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_placeholder(item) for item in value)
    return isinstance(value, Placeholder)

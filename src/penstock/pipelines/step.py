"""`@step`: an ordinary function that a pipeline can run in a process of its own, and keep the result of."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, get_args, get_origin, overload

from penstock.core.errors import InvalidInputError
from penstock.pipelines.graph import Limits
from penstock.pipelines.tracing import current_tracer

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A function that is a step. Called outside a pipeline it is just the function."""

    def __init__(self, fn: Callable[P, R], limits: Limits) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.limits = limits
        self.name = fn.__name__
        self.signature = inspect.signature(fn)
        self._check_signature()

    @property
    def function(self) -> str:
        """Where it is found again: module:name."""
        return f"{self.fn.__module__}:{self.fn.__qualname__}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function; while a pipeline is traced, write the call into its graph."""
        tracer = current_tracer()
        if tracer is None:
            return self.fn(*args, **kwargs)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidInputError(f"step {self.name!r} cannot be called like this: {error}") from error
        result: R = tracer.add(self.name, self.function, dict(bound.arguments), self.limits, self._count_outputs())
        return result

    def _check_signature(self) -> None:
        if "<locals>" in self.fn.__qualname__ or "." in self.fn.__qualname__:
            return  # runs as a function; `trace` refuses it, as another process could not find it
        for parameter in self.signature.parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise InvalidInputError(
                    f"step {self.name!r} takes {parameter}, which has no name of its own", hint="name each argument"
                )

    def _count_outputs(self) -> int | None:
        """How many values the annotation promises; None for one value that is passed on whole."""
        try:
            answer = typing.get_type_hints(self.fn).get("return")
        except Exception as error:  # annotations may hold anything at all
            raise InvalidInputError(f"the annotations of step {self.name!r} cannot be read: {error}") from error
        if get_origin(answer) is not tuple or get_args(answer)[-1] is Ellipsis:
            return None
        return len(get_args(answer))


@overload
def step(fn: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *, cpus: float = 1, retries: int = 0, cache: bool = True, timeout_s: float | None = None
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    fn: Callable[P, R] | None = None,
    /,
    *,
    cpus: float = 1,
    retries: int = 0,
    cache: bool = True,
    timeout_s: float | None = None,
) -> Any:
    """Make a function a step of pipelines; works with and without parentheses.

    Args:
        fn: the function. Its arguments and results are tables, arrays, models, or plain values.
        cpus: how many CPUs it may use.
        retries: how often it is tried again after it failed.
        cache: whether a result may be used again when code, arguments, inputs and environment are the same.
        timeout_s: how long it may take.
    """
    if cpus <= 0 or retries < 0 or (timeout_s is not None and timeout_s <= 0):
        raise InvalidInputError("a step needs cpus above 0, retries of 0 or more, and a timeout_s above 0")
    limits = Limits(cpus=float(cpus), retries=retries, cache=cache, timeout_s=timeout_s)
    return functools.partial(Step, limits=limits) if fn is None else Step(fn, limits)

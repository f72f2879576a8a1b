"""`@pipeline`: a function that joins steps; calling it traces the graph, `run` runs it here and now."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.pipelines.graph import Candidate, CandidateNode, Champion, Data, FromData, FromStep, Graph, check_plain
from penstock.pipelines.tracing import champion_placeholder, data_placeholder, to_argument, tracing

PLAIN = (int, float, str, bool)


class Pipeline:
    """A function that joins steps.

    Arguments annotated `Data` are tables of the project, one annotated `Champion` is its present model, and the others
    are parameters.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = fn.__name__
        self._parameters = inspect.signature(fn).parameters
        try:
            self._hints = typing.get_type_hints(fn)
        except Exception as error:  # annotations may hold anything at all
            raise InvalidInputError(f"the annotations of pipeline {self.name!r} cannot be read: {error}") from error

    @property
    def data(self) -> tuple[str, ...]:
        """The names of the tables it reads."""
        return tuple(name for name in self._parameters if self._hints.get(name) is Data)

    @property
    def champions(self) -> tuple[str, ...]:
        """The names of what stands for the present champion."""
        return tuple(name for name in self._parameters if self._hints.get(name) is Champion)

    @property
    def params(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return tuple(name for name in self._parameters if name not in self.data + self.champions)

    def __call__(self, **params: Any) -> Graph:
        """The graph of this pipeline with these parameters; nothing runs."""
        return self.trace(params)

    def run(self, **arguments: Any) -> Candidate:
        """Run all steps in this process, with a DataFrame for each table, and maybe a champion; nothing is stored."""
        for name in self.data:
            if name not in arguments:
                raise InvalidInputError(f"pipeline {self.name!r} needs a DataFrame for its data {name!r}")
        tables = {name: arguments.pop(name) for name in self.data}
        champions = {name: arguments.pop(name, None) for name in self.champions}
        return self._check(self.fn(**tables, **champions, **self._convert(arguments)))

    def trace(self, params: Mapping[str, Any]) -> Graph:
        """The graph of this pipeline with these parameters.

        Raises:
            InvalidInputError: a parameter is unknown, missing or of another type, or the function does something that
                has to be done in a step.
        """
        given = self._convert(params)
        with tracing() as tracer:
            tables = {name: data_placeholder(name) for name in self.data}
            champions = {name: champion_placeholder() for name in self.champions}
            result = self._check(self.fn(**given, **tables, **champions))
        for node in tracer.steps:
            place = node.function.partition(":")[2]
            if not place.isidentifier():
                home = place.rpartition(".<locals>")[0] or place.rpartition(".")[0]
                raise InvalidInputError(f"step {node.name!r} is defined inside {home!r}", hint="move it out")
        return Graph(
            pipeline=f"{self.fn.__module__}:{self.fn.__qualname__}",
            params=given,
            steps=tuple(tracer.steps),
            candidate=self._describe(result),
        )

    def _convert(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with their defaults; texts and numbers fitted to their annotation."""
        for name in params:
            if name not in self.params:
                hint = nearest_hint(name, self.params)
                raise InvalidInputError(f"pipeline {self.name!r} has no parameter {name!r}", hint=hint, field=name)
        given = {}
        for name in self.params:
            value = params.get(name, self._parameters[name].default)
            if value is inspect.Parameter.empty:
                hint = "give it a default, or name it in pipeline.params of penstock.toml"
                raise InvalidInputError(f"pipeline {self.name!r} needs its parameter {name!r}", hint=hint, field=name)
            given[name] = self._fit(name, check_plain(value, f"parameter {name!r}"))
        return given

    def _fit(self, name: str, value: Any) -> Any:
        kind = self._hints.get(name)
        if kind not in PLAIN or value is None:
            return value
        try:
            return msgspec.convert(value, kind, strict=not isinstance(value, str))
        except msgspec.ValidationError as error:
            message = f"parameter {name!r} of pipeline {self.name!r} has to be {kind.__name__}, not {value!r}"
            raise InvalidInputError(message, field=name) from error

    def _check(self, result: Any) -> Candidate:
        if isinstance(result, Candidate):
            return result
        raise InvalidInputError(
            f"pipeline {self.name!r} returned {type(result).__name__}, not a Candidate",
            hint="end with `return penstock.Candidate(model, test=rows)`",
        )

    def _describe(self, result: Candidate) -> CandidateNode:
        model = to_argument(result.model, "the candidate's model")
        test = to_argument(result.test, "the candidate's test rows")
        if not isinstance(model, FromStep) or not isinstance(test, FromStep | FromData):
            hint = "pass on what steps returned"
            raise InvalidInputError("the candidate's model and test rows have to come from steps", hint=hint)
        reference = None if result.reference is None else to_argument(result.reference, "the candidate's reference")
        return CandidateNode(model=model, test=test, label=result.label, reference=reference)


def pipeline(fn: Callable[..., Any]) -> Pipeline:
    """Make a function a pipeline: it calls steps, passes their results on, and returns a `Candidate`."""
    return Pipeline(fn)

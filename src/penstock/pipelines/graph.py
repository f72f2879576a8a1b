"""A pipeline as data: its steps in an order in which they can run, and what each is given."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from penstock.core.errors import InvalidInputError

SCALARS = (bool, int, float, str)


class Data(Any):  # type: ignore[misc]  # so that a type checker lets it pass for a DataFrame
    """Marks an argument of a pipeline as a table of the project: `[data.NAME]` of the same name.

    The steps that it is passed to receive a polars DataFrame.
    """


class Champion(Any):  # type: ignore[misc]  # so that a type checker lets it pass for a model
    """Marks an argument of a pipeline as the model that is the champion now, for a step that goes on from there.

    The step receives what the pipeline's step returned then, or None: before the first release, and after the release
    of a model that this project's pipeline has not made.
    """


class Candidate(Struct, frozen=True, kw_only=False):
    """What a pipeline ends with: a model, and the rows it has to prove itself on.

    Attributes:
        model: the result of a step: whatever `save_model` takes, such as an estimator of scikit-learn, LightGBM or
            XGBoost, an ONNX model, a `RankingModel` or a `FunctionModel`.
        test: rows the model has not seen, with the label.
        label: the label's column; that of the project's data when None.
        reference: rows that live input is compared with to see drift; the test rows when None.
    """

    model: Any
    test: Any
    label: str | None = None
    reference: Any = None


class Argument(Struct, frozen=True, tag_field="from"):
    """Where the value of an argument comes from."""


class FromValue(Argument, frozen=True, tag="value"):
    """A number, a text, or lists and tables of them, known before anything runs."""

    value: Any


class FromData(Argument, frozen=True, tag="data"):
    """The rows of `[data.NAME]`."""

    name: str


class FromChampion(Argument, frozen=True, tag="champion"):
    """The model that is the champion now; None where there is none that this pipeline has made."""


class FromStep(Argument, frozen=True, tag="step"):
    """What a step gave; `index` is the place in its tuple, None for the whole."""

    step: str
    index: int | None = None


class FromMany(Argument, frozen=True, tag="many"):
    """A list of arguments, some of which are not known yet."""

    items: tuple["AnyArgument", ...]


AnyArgument = FromValue | FromData | FromChampion | FromStep | FromMany


class Limits(Struct, frozen=True, kw_only=True):
    """How a step is run."""

    cpus: float = 1.0
    retries: int = 0
    cache: bool = True
    timeout_s: float | None = None


class StepNode(Struct, frozen=True, kw_only=True):
    """One call of a step."""

    name: str  # that of the function; a second call in the same pipeline is `fit_2`
    function: str  # module:name
    arguments: dict[str, AnyArgument]
    limits: Limits = Limits()

    @property
    def needs(self) -> frozenset[str]:
        """The steps that have to be done before."""
        return frozenset(leaf.step for leaf in self._leaves() if isinstance(leaf, FromStep))

    @property
    def reads(self) -> frozenset[str]:
        """The data it is given."""
        return frozenset(leaf.name for leaf in self._leaves() if isinstance(leaf, FromData))

    def _leaves(self) -> Iterator[AnyArgument]:
        for argument in self.arguments.values():
            yield from leaves(argument)


class CandidateNode(Struct, frozen=True, kw_only=True):
    """What the pipeline ends with, before it is known."""

    model: AnyArgument
    test: AnyArgument
    label: str | None = None
    reference: AnyArgument | None = None


class Graph(Struct, frozen=True, kw_only=True):
    """A traced pipeline."""

    pipeline: str  # module:name
    params: dict[str, Any]
    steps: tuple[StepNode, ...]  # each stands after those it needs
    candidate: CandidateNode

    @property
    def reads(self) -> frozenset[str]:
        """The data that it needs."""
        ends = [self.candidate.model, self.candidate.test, self.candidate.reference]
        direct = {leaf.name for end in ends if end is not None for leaf in leaves(end) if isinstance(leaf, FromData)}
        return frozenset(direct).union(*(step.reads for step in self.steps))

    @property
    def goes_on(self) -> bool:
        """Whether a step is given the present champion."""
        given = (leaf for step in self.steps for argument in step.arguments.values() for leaf in leaves(argument))
        return any(isinstance(leaf, FromChampion) for leaf in given)


def leaves(argument: AnyArgument) -> Iterator[AnyArgument]:
    """The arguments inside an argument; itself where it holds no others."""
    if not isinstance(argument, FromMany):
        yield argument
        return
    for item in argument.items:
        yield from leaves(item)


def check_plain(value: Any, where: str) -> Any:
    """The value, when it can be written into a graph: numbers, texts, None, and lists and tables of them.

    Raises:
        InvalidInputError: it holds anything else.
    """
    if value is None or isinstance(value, SCALARS):
        return value
    if isinstance(value, list | tuple):
        return [check_plain(item, where) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: check_plain(item, where) for key, item in value.items()}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise InvalidInputError(
        f"{where} is a {kind}, which cannot be written into a pipeline",
        hint="make it inside a step, and pass numbers, texts, data or results of steps",
    )

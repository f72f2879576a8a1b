"""What a gateway serves at one moment: loaded revisions, and which of them a request goes to."""

import math
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import polars as pl
from blake3 import blake3
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from penstock.core.errors import NotFoundError, UnavailableError
from penstock.core.project.types import Task
from penstock.predictions.blocks import Columns
from penstock.registry.format.types import Signature
from penstock.serving.inputs import NUMBERS, InputDecoder, Rows
from penstock.serving.ranking import ItemTable
from penstock.serving.types import DeploymentRoute, RevisionRoute
from penstock.stats.arrays import FloatArray

_LOGGED = (*NUMBERS, "string", "double[]")  # output types that a block of the prediction log holds as arrays


Outputs = dict[str, NDArray[Any] | list[Any]]  # output column -> a value for each row
ArrayPath = Callable[[FloatArray], dict[str, NDArray[Any]] | None]


class ServableModel(Protocol):
    """What the gateway needs of a loaded model. Safe to call from several threads.

    A model whose input is numbers only may also offer `predict_arrays(matrix)`: from a float64 array of shape (rows,
    columns), in the order of the signature and NaN where a value is missing, to an array for each output column with
    a value (or, where the column is a list, a row) for each row. None says that it cannot.
    """

    @property
    def task(self) -> Task:
        """What the model is for."""
        ...

    @property
    def signature(self) -> Signature:
        """The columns it takes and gives."""
        ...

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The predictions, a row for each row."""
        ...


class LiveRevision:
    """A revision whose model is in memory."""

    def __init__(self, route: RevisionRoute, model: ServableModel) -> None:
        self.route = route
        self.model = model
        self.decoder = InputDecoder(model.signature.inputs)
        self.baseline = _find_baseline(model)
        self.items = _find_items(model)
        self.columns = _find_columns(model.signature)
        takes_arrays = self.decoder.is_numeric and getattr(model, "takes_arrays", True)
        self._predict_arrays: ArrayPath | None = getattr(model, "predict_arrays", None) if takes_arrays else None

    def predict(self, rows: Rows) -> Outputs:
        """What the model says of some rows that its own decoder read.

        Raises:
            RuntimeError: it gave another number of answers. Beside that, whatever the model raises.
        """
        found: Outputs | None = None
        if self._predict_arrays is not None:
            found = dict(self._predict_arrays(rows.matrix()) or {}) or None
            if found is None:
                self._predict_arrays = None
        if found is None:
            frame = self.model.predict(rows.frame())
            found = {series.name: series.to_list() for series in frame}
        for values in found.values():
            if len(values) != len(rows):
                raise RuntimeError(f"the model gave {len(values)} answers for {len(rows)} rows")
        return found

    def fits(self, other: "LiveRevision") -> bool:
        """Whether it takes the same input as another."""
        return self is other or self.decoder.columns == other.decoder.columns


class LiveDeployment(Struct, frozen=True, kw_only=True):
    """The revisions of one deployment."""

    route: DeploymentRoute
    stable: LiveRevision
    candidate: LiveRevision | None = None
    shadow: LiveRevision | None = None  # gets copies
    previous: LiveRevision | None = None

    @property
    def name(self) -> str:
        """What requests call it."""
        return self.route.deployment

    def choose(self, key: str) -> LiveRevision:
        """The revision for a sticky key. A share that grows keeps those who are on the candidate there."""
        if self.candidate is None:
            return self.stable
        place = place_key(f"{self.name}/{self.candidate.route.number}", key) if key else random.random()
        return self.candidate if place < self.route.share else self.stable

    def propensity(self, revision: LiveRevision) -> float:
        """The chance with which `choose` gives this revision."""
        if self.candidate is None:
            return 1.0
        return self.route.share if revision is self.candidate else 1.0 - self.route.share

    def without_candidate(self) -> "LiveDeployment":
        """The same, were there no rollout."""
        return replace(self, candidate=None, shadow=None)

    def find_version(self, version: int) -> LiveRevision | None:
        """The revision that serves a model version now."""
        held = (self.stable, self.candidate)
        return next((item for item in held if item is not None and item.route.version == version), None)


class RoutingTable(Struct, frozen=True):
    """All deployments at one moment."""

    number: int = 0
    deployments: Mapping[str, LiveDeployment] = field(default_factory=dict)

    def get(self, name: str) -> LiveDeployment:
        """The deployment of that name.

        Raises:
            UnavailableError: nothing is loaded yet.
            NotFoundError: there is no such deployment.
        """
        found = self.deployments.get(name)
        if found is not None:
            return found
        self.check_ready()
        known = ", ".join(sorted(self.deployments))
        hint = f"known are {known}" if known else "nothing is released yet; 'penstock run' does"
        raise NotFoundError(f"there is no deployment {name!r}", hint=hint)

    def get_only(self) -> LiveDeployment:
        """The one deployment there is.

        Raises:
            UnavailableError: nothing is loaded yet.
            NotFoundError: there are several.
        """
        self.check_ready()
        if len(self.deployments) > 1:
            names = ", ".join(sorted(self.deployments))
            raise NotFoundError(
                f"this gateway serves several deployments: {names}",
                hint="name one in the header X-Penstock-Deployment, or post to /predict/NAME",
            )
        return next(iter(self.deployments.values()))

    def without_candidates(self) -> "RoutingTable":
        """The same, were there no rollouts."""
        return RoutingTable(self.number, {name: held.without_candidate() for name, held in self.deployments.items()})

    def check_ready(self) -> None:
        """Refuse while there is nothing to serve."""
        if not self.deployments:
            raise UnavailableError("no model is loaded yet", hint="'penstock run' trains and releases one")


def place_key(salt: str, key: str) -> float:
    """Where a key lies between 0 and 1: the same at every gateway and at any time, and anew for each salt."""
    digest = blake3(f"{salt}/{key}".encode()).digest(length=8)
    return math.ldexp(int.from_bytes(digest), -64)


def _find_columns(signature: Signature) -> Columns | None:
    """What the prediction log has to know to keep the model's answers as arrays; None where they are no such thing."""
    if not signature.outputs or not all(column.type in _LOGGED for column in signature.outputs):
        return None
    inputs = tuple((column.name, column.type) for column in signature.inputs)
    return Columns(inputs, tuple((column.name, column.type) for column in signature.outputs))


def _find_items(model: ServableModel) -> ItemTable | None:
    """What a ranking model knows of its items; None where that is nothing."""
    frame = getattr(model, "item_table", None)
    return None if frame is None else ItemTable(frame)


def _find_baseline(model: ServableModel) -> dict[str, Any] | None:
    """What a ranking model suggests to somebody it knows nothing of: the popular items. None for other tasks."""
    if model.task != "ranking":
        return None
    empty = {column.name: "" if column.type in ("string", "category") else None for column in model.signature.inputs}
    return dict(model.predict(pl.DataFrame([empty])).row(0, named=True))

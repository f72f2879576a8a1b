"""What a gateway serves at one moment: loaded revisions, and which of them a request goes to."""

import math
import random
from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl
from blake3 import blake3
from msgspec import Struct, field

from penstock.core.errors import NotFoundError, UnavailableError
from penstock.core.project.types import Task
from penstock.registry.format.types import Signature
from penstock.serving.inputs import InputDecoder
from penstock.serving.types import DeploymentRoute, RevisionRoute


class ServableModel(Protocol):
    """What the gateway needs of a loaded model. Safe to call from several threads."""

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

    def fits(self, other: "LiveRevision") -> bool:
        """Whether it takes the same input as another."""
        return self.decoder.columns == other.decoder.columns


class LiveDeployment(Struct, frozen=True, kw_only=True):
    """The revisions of one deployment."""

    route: DeploymentRoute
    stable: LiveRevision
    candidate: LiveRevision | None = None
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

    def check_ready(self) -> None:
        """Refuse while there is nothing to serve."""
        if not self.deployments:
            raise UnavailableError("no model is loaded yet", hint="'penstock run' trains and releases one")


def place_key(salt: str, key: str) -> float:
    """Where a key lies between 0 and 1: the same at every gateway and at any time, and anew for each salt."""
    digest = blake3(f"{salt}/{key}".encode()).digest(length=8)
    return math.ldexp(int.from_bytes(digest), -64)


def _find_baseline(model: ServableModel) -> dict[str, Any] | None:
    """What a ranking model suggests to somebody it knows nothing of: the popular items. None for other tasks."""
    if model.task != "ranking":
        return None
    empty = {column.name: "" if column.type in ("string", "category") else None for column in model.signature.inputs}
    return dict(model.predict(pl.DataFrame([empty])).row(0, named=True))

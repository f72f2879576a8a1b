"""What the protocols have in common: a call for predictions, and its answer."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from penstock.core.ids import PredictionId
from penstock.core.project.types import Task
from penstock.predictions.event_time import read_event_time
from penstock.predictions.types import Status
from penstock.serving.inputs import InputDecoder, Rows
from penstock.serving.live import LiveDeployment, LiveRevision
from penstock.storage.columns import to_microseconds

MAXIMUM_ITEMS = 1000
MAXIMUM_KEY = 1000


class Parameters(Struct, frozen=True, kw_only=True):
    """What a caller may say beside the rows."""

    time: datetime | None = None  # when this happened, ISO 8601; UTC when it names no zone; now when left out
    key: Annotated[str, Meta(max_length=MAXIMUM_KEY)] | int | None = None  # keeps a customer on one revision
    k: Annotated[int, Meta(ge=1, le=MAXIMUM_ITEMS)] | None = None  # ranking: how many items
    exclude: list[str] | str | None = None  # ranking: items that are not to be shown, a list or with spaces between
    filter: dict[str, Any] | None = None  # ranking: what the items that are shown have to be, by column
    timeout: Annotated[int, Meta(ge=1)] | None = None  # microseconds in which the answer is worth something

    def event_time_us(self, now: datetime) -> int:
        """When this happened, in microseconds since 1970."""
        return to_microseconds(now if self.time is None else read_event_time(self.time, "time"))

    def excluded(self) -> frozenset[str]:
        """The items not to be shown."""
        held = self.exclude.split() if isinstance(self.exclude, str) else self.exclude
        return frozenset(held or ())


class Call(Struct, frozen=True, kw_only=True):
    """A request for predictions, before its rows are read: that depends on the revision that answers."""

    deployment: str  # empty: the only one
    read_rows: Callable[[InputDecoder], Rows]
    parameters: Parameters = Parameters()
    version: int | None = None  # of the model; None leaves the choice to the routing
    caller_id: str | None = None  # what the body calls this request
    task: Task | None = None  # what the model has to be for
    context: Any = None  # the protocol's own


class Prediction(Struct, frozen=True):
    """The answer for one row."""

    id: PredictionId
    revision: LiveRevision  # that was chosen
    status: Status
    output: dict[str, Any]
    propensity: float = 1.0  # the chance with which the revision was chosen
    rules: tuple[str, ...] = ()  # of a list of items: the rules that changed it


class Answer(Struct, frozen=True):
    """The answers for all rows, in order."""

    deployment: LiveDeployment
    predictions: list[Prediction]
    has_fallback: bool = False  # whether something simpler answered for a model that failed

    @property
    def ids(self) -> list[PredictionId]:
        """The prediction ids."""
        return [prediction.id for prediction in self.predictions]

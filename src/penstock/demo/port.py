"""What the demo needs of a running penstock."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from penstock.predictions.types import Outcome
from penstock.registry.format.ranking import RankingModel

Tell = Callable[[str], None]  # takes a line for people


class Ask(Struct, frozen=True):
    """A request for suggestions."""

    at: datetime  # event time
    inputs: dict[str, str]
    exclude: list[str]


class Reply(Struct, frozen=True):
    """Its answer."""

    prediction_id: str
    items: list[str]


class EpisodeLine(Struct, frozen=True, kw_only=True):
    """An episode in a line."""

    number: int
    trigger: str
    state: str
    at: datetime | None = None  # event time when it was opened; None before there was any traffic
    version: int | None = None
    reason: str  # why it was opened
    summary: str = ""  # how it ended
    gates: str = ""  # what they said


class Penstock(Protocol):
    """A penstock that serves the shop's project. Calls wait until it answers; a process may be killed meanwhile."""

    page_url: str

    def release_first(self, tell: Tell) -> None:
        """Train and release the first model; does nothing once one is released."""
        ...

    def load_first(self) -> RankingModel:
        """The model that was released first."""
        ...

    def predict(self, asked: Sequence[Ask]) -> list[Reply]:
        """Ask the live endpoint, one request each; answers in the same order."""
        ...

    def add_outcomes(self, outcomes: list[Outcome]) -> None:
        """Tell what customers turned out to want."""
        ...

    def wait_settled(self, tell: Tell) -> str:
        """Wait until the loop has done all it can with what it knows; returns what it waits for."""
        ...

    def list_episodes(self) -> list[EpisodeLine]:
        """All episodes, oldest first."""
        ...

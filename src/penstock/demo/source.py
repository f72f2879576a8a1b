"""Where the demo's customers come from: a port, filled by the simulated shop and by a real log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import polars as pl
from msgspec import Struct

Arm = Literal["loop", "frozen", "popularity", "repeat"]
Lists = Mapping[Arm, Mapping[str, Sequence[str]]]  # arm -> customer -> suggested items, best first


class Visit(Struct, frozen=True):
    """A customer asks for suggestions."""

    user: str
    at: datetime
    arms: tuple[Arm, ...]  # whose suggestions are measured on this customer


class Score(Struct, frozen=True):
    """What one list brought; an arm's result is the sum of `gained` over the sum of `offered`."""

    week: int
    user: str
    arm: Arm
    gained: float
    offered: float


class WeekResult(Struct, frozen=True):
    """How a week went."""

    events: pl.DataFrame  # the log of the week
    wanted: dict[str, list[str]]  # what each visitor turned out to want: the outcome of the prediction
    scores: list[Score]


class Measure(Struct, frozen=True):
    """What is measured, and how it is told."""

    name: str  # clicks per 1,000 suggestions
    factor: float  # that a result is multiplied with
    digits: int


class Source(Protocol):
    """A shop's weeks. The same source gives the same weeks, whatever was asked before."""

    title: str
    measure: Measure
    arms: tuple[Arm, ...]
    warm_up: int  # weeks before the first release
    weeks: int  # of the whole, warm-up included

    def week_start(self, week: int) -> datetime:
        """When a week begins, UTC."""
        ...

    def warm_up_events(self) -> list[pl.DataFrame]:
        """The log before the first release, a table a week."""
        ...

    def catalogue(self, week: int) -> pl.DataFrame:
        """The items known by the end of a week: `item`, `name`, `aisle`, `price`, `since` (a date)."""
        ...

    def sold_out(self, week: int) -> frozenset[str]:
        """What must not be suggested in a week."""
        ...

    def visits(self, week: int) -> list[Visit]:
        """Who asks for suggestions in a week, in the order of time."""
        ...

    def answer(self, week: int, lists: Lists) -> WeekResult:
        """What came of the suggestions of a week; each visitor has a list in each of its arms."""
        ...

"""The shop's log of events, and what can be said from it about one customer and about all."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import polars as pl
from msgspec import Struct

RECENT = 200  # touched items that a request carries; the project's pipeline learns from as many
YOUNGEST = 5  # of the items touched last, the youngest one says how new a customer's interests are
TREND_WEEKS = 4  # that the list of popular items looks back
LISTED = 100  # of a customer's own items, and of the popular ones behind them
NO_TIES: Mapping[str, int] = {}
EVENTS = pl.Schema(
    [
        ("event_id", pl.String()),
        ("at", pl.Datetime("us", "UTC")),
        ("user", pl.String()),
        ("item", pl.String()),
        ("kind", pl.String()),  # view, cart or buy
    ]
)


class Good(Struct, frozen=True):
    """What a request tells of an item."""

    aisle: str
    since: str  # the month in which it came into the shop


def read_goods(catalogue: pl.DataFrame) -> dict[str, Good]:
    """The goods of a catalogue by item."""
    rows = catalogue.select("item", "aisle", pl.col("since").dt.strftime("%Y-%m"))
    return {item: Good(aisle, since) for item, aisle, since in rows.iter_rows()}


def request_inputs(user: str, recent: Sequence[str], goods: Mapping[str, Good]) -> dict[str, str]:
    """The columns of a request, made as the project's pipeline makes those it learns from."""
    known = [goods[item] for item in recent[:YOUNGEST] if item in goods]
    return {
        "user": user,
        "recent": " ".join(recent),
        "aisle": known[0].aisle if known else "none",
        "intake": max(good.since for good in known) if known else "none",
    }


class History:
    """What customers touched so far; events are added week by week, in order."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[str]] = {}
        self._touched: dict[str, Counter[str]] = {}
        self._popular: deque[Counter[str]] = deque(maxlen=TREND_WEEKS)

    def add(self, events: pl.DataFrame) -> None:
        """Add the events of one week."""
        ordered = events.sort("user", "at", "event_id")
        for user, item in ordered.select("user", "item").iter_rows():
            self._recent.setdefault(user, deque(maxlen=RECENT)).appendleft(item)
            self._touched.setdefault(user, Counter())[item] += 1
        self._popular.append(Counter(ordered.unique(["user", "item"])["item"].to_list()))

    def recent(self, user: str) -> list[str]:
        """The items a customer touched last, newest first."""
        return list(self._recent.get(user, ()))

    def popular(self) -> list[str]:
        """What most customers touched in the last weeks; the list of the comparator `popularity`."""
        total: Counter[str] = Counter()
        for week in self._popular:
            total.update(week)
        return _most_common(total)

    def repeats(self, users: Iterable[str], popular: list[str]) -> dict[str, list[str]]:
        """What each customer touched most often, filled up with what is popular; the comparator `repeat`."""
        place = {item: number for number, item in enumerate(popular)}
        return {
            user: list(
                dict.fromkeys(chain(_most_common(self._touched.get(user, {}), place)[:LISTED], popular[:LISTED]))
            )
            for user in users
        }


def _most_common(counts: Mapping[str, int], ties: Mapping[str, int] = NO_TIES) -> list[str]:
    """Items by count; of equal counts the one first in `ties`, then the one first in the alphabet."""
    return sorted(counts, key=lambda item: (-counts[item], ties.get(item, len(ties)), item))

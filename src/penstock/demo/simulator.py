"""A shop that is not there: customers with tastes, goods that come and go, seasons, stock. Same seed, same shop.

Chance is drawn by week and customer, never in the order of calls: what a customer answers depends on the seed, the week
and the list that is shown, and a demo that was interrupted goes on in the same world.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from penstock.demo.events import EVENTS

FloatArray = NDArray[np.float64]

AISLES = ("tea", "coffee", "garden", "candles", "kitchen", "toys", "paper", "bath", "lamps", "baskets")
LOOKS = ("Blue", "Oak", "Linen", "Little", "Striped", "Copper", "Garden", "Winter", "Old", "Bright", "Folk", "Stone")
THINGS = ("box", "set", "jar", "gift", "tin", "bowl", "card", "frame", "lantern", "basket", "bottle", "star")
START = datetime(2026, 1, 19, tzinfo=UTC)  # a Monday
STYLES = 6  # dimensions of style


class ShopSettings(Struct, frozen=True, kw_only=True):
    """What kind of shop it is."""

    seed: int = 7
    customers: int = 1000  # in the end
    regulars: float = 0.7  # share of them that is there from the beginning; the others come in over the weeks
    goods: int = 320  # on sale at the beginning
    new_per_week: int = 6  # goods that arrive
    weeks: int = 36  # that the shop exists, warm-up included
    visits: float = 0.6  # share of the customers that come in a week
    slots: int = 10  # suggestions that a customer is shown
    sold_out: float = 0.04  # share of the goods that are out of stock in a week
    changes: bool = True  # tastes, seasons, goods; without it every week is like the one before


class Shop:
    """The world: who wants what in which week.

    Args:
        settings: its size, its seed, and whether it changes.
    """

    def __init__(self, settings: ShopSettings) -> None:
        self.settings = settings
        chance = np.random.default_rng([settings.seed, 0])
        arriving = settings.new_per_week * settings.weeks if settings.changes else 0
        count = settings.goods + arriving
        self.users = [f"c{number:04d}" for number in range(settings.customers)]
        self._aisle = chance.integers(len(AISLES), size=count)
        self._style = _unit(chance.normal(size=(count, STYLES)))
        self._quality = chance.normal(scale=0.5, size=count)
        self._price = np.round(np.exp(chance.normal(2.2, 0.6, size=count)), 2)
        self._arrives = np.concatenate([np.full(settings.goods, -1.0), np.arange(arriving) // settings.new_per_week])
        self._fades = chance.exponential(14.0, size=count) + 4.0  # weeks until a good is half forgotten
        self._ever_green = chance.random(count) < (0.35 if settings.changes else 1.0)
        self._season = chance.uniform(0, 2 * np.pi, size=len(AISLES))
        self._taste = [chance.dirichlet(np.full(len(AISLES), 0.3), size=settings.customers) for _ in range(2)]
        self._own_style = _unit(chance.normal(size=(settings.customers, STYLES)))
        self._turns = chance.normal(settings.weeks * 0.5, settings.weeks * 0.17, size=settings.customers)
        self._joins = np.where(
            chance.random(settings.customers) < settings.regulars,
            0,
            chance.integers(settings.weeks, size=settings.customers),
        )
        self._stays = chance.random(settings.customers) < (0.3 if settings.changes else 1.0)
        self.items = [f"{AISLES[aisle]}-{number:03d}" for number, aisle in enumerate(self._aisle)]
        self._number = {item: number for number, item in enumerate(self.items)}
        self._user_number = {user: number for number, user in enumerate(self.users)}
        self._utility = lru_cache(maxsize=2)(self._compute_utility)
        self.visitors = lru_cache(maxsize=2)(self._draw_visitors)
        self.browse = lru_cache(maxsize=2)(self._draw_browsing)

    def week_start(self, week: int) -> datetime:
        """Monday, midnight."""
        return START + timedelta(weeks=week)

    def catalogue(self, week: int) -> pl.DataFrame:
        """The goods that have been on sale up to a week: `item`, `name`, `aisle`, `price`, `since`."""
        known = np.flatnonzero(self._arrives <= week)
        looks, things = len(LOOKS), len(THINGS)
        return pl.DataFrame(
            {
                "item": [self.items[number] for number in known],
                "name": [f"{LOOKS[number % looks]} {THINGS[(number // looks) % things]}" for number in known],
                "aisle": [AISLES[self._aisle[number]] for number in known],
                "price": self._price[known],
                "since": [self.week_start(int(self._arrives[number])).date() for number in known],
            }
        )

    def _draw_visitors(self, week: int) -> list[tuple[str, datetime]]:
        """Who comes in a week, and when, in the order of time."""
        chance = self._chance(week, 1)
        comes = (chance.random(len(self.users)) < self.settings.visits) & (self._joins <= week)
        comes |= (self._joins == 0) & (week == 0)  # later, only who really is new has no past
        minutes = np.sort(chance.integers(0, 5 * 1440, size=int(comes.sum())))  # Monday to Friday
        order = chance.permutation(np.flatnonzero(comes))
        start = self.week_start(week)
        return [(self.users[who], start + timedelta(minutes=int(m))) for who, m in zip(order, minutes, strict=True)]

    def sold_out(self, week: int) -> frozenset[str]:
        """What cannot be had in a week."""
        gone = self._chance(week, 2).random(len(self.items)) < self.settings.sold_out
        return frozenset(self.items[number] for number in np.flatnonzero(gone | (self._arrives > week)))

    def answer(self, week: int, lists: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """What customers click in the lists they are shown: what fits them, and rather at the top."""
        luck, attraction = self._luck(week), self._attraction(week)
        gone = self.sold_out(week)
        clicked = {}
        for user, suggested in lists.items():
            who = self._user_number[user]
            shown = [(place, item) for place, item in enumerate(suggested[: self.settings.slots]) if item not in gone]
            clicked[user] = [
                item
                for place, item in shown
                if (number := self._number.get(item)) is not None
                and luck[who, number] < attraction[who, number] / (1 + 0.12 * place)
            ]
        return clicked

    def _draw_browsing(self, week: int) -> dict[str, list[str]]:
        """What the customers of a week look at by themselves, whatever they are shown."""
        chance = self._chance(week, 4)
        wishes = self._utility(week) + chance.gumbel(size=(len(self.users), len(self.items)))
        wishes[:, [self._number[item] for item in self.sold_out(week)]] = -np.inf
        near = np.argpartition(-wishes, 12, axis=1)[:, :12]
        best = np.take_along_axis(near, np.argsort(-np.take_along_axis(wishes, near, axis=1), axis=1), axis=1)
        counts = 2 + chance.poisson(3.0, size=len(self.users)).clip(max=10)
        return {
            user: [self.items[number] for number in best[self._user_number[user], : counts[self._user_number[user]]]]
            for user, _ in self.visitors(week)
        }

    def events(self, week: int, clicked: Mapping[str, Sequence[str]]) -> pl.DataFrame:
        """The week's log: clicks first, then what customers looked at, put into the cart and bought by themselves."""
        browsed, chance = self.browse(week), self._chance(week, 5)
        deeper = chance.random((len(self.users), 32))
        rows: list[tuple[str, datetime, str, str, str]] = []
        for user, came in self.visitors(week):
            touched = [*clicked.get(user, ()), *browsed[user]]
            for place, item in enumerate(touched):
                at = came + timedelta(seconds=20 + 45 * place)
                for step, kind in enumerate(_kinds(float(deeper[self._user_number[user], place % 32]))):
                    name = f"{week:03d}-{user}-{place:02d}-{kind}"
                    rows.append((name, at + timedelta(seconds=10 * step), user, item, kind))
        return pl.DataFrame(rows, schema=EVENTS, orient="row").sort("at", "event_id")

    def _chance(self, week: int, what: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, 1 + week, what])

    def _luck(self, week: int) -> FloatArray:
        return self._chance(week, 3).random((len(self.users), len(self.items)))

    def _attraction(self, week: int) -> FloatArray:
        """Chance of a click on the first place; shape (customers, goods)."""
        return 0.5 / (1.0 + np.exp(-1.2 * (self._utility(week) - 2.0)))

    def _compute_utility(self, week: int) -> FloatArray:
        taste = np.log(self._taste_of(week) + 0.03) + 2.0  # 0 near a tenth, where nobody minds
        wanted = 1.2 * taste[:, self._aisle] + 1.8 * self._own_style @ self._style.T
        return wanted + self._appeal(week)[None, :]

    def _taste_of(self, week: int) -> FloatArray:
        turned = 1.0 / (1.0 + np.exp(-(week - self._turns) / 1.5))
        share = np.where(self._stays, 0.0, turned)[:, None]
        return (1 - share) * self._taste[0] + share * self._taste[1]

    def _appeal(self, week: int) -> FloatArray:
        settings = self.settings
        if not settings.changes:
            return self._quality
        age = week - self._arrives
        season = 1.0 * np.sin(2 * np.pi * week / 52 + self._season)[self._aisle]
        fresh = 0.5 * np.exp(-np.maximum(age, 0) / 3.0) * (self._arrives >= 0)
        faded = np.where(self._ever_green, 0.0, -0.9 * np.maximum(age, 0) / self._fades)
        return np.where(age < 0, -np.inf, self._quality + season + fresh + faded)


def _kinds(depth: float) -> tuple[str, ...]:
    """How far a customer goes with a good: looks, takes it into the cart, buys it."""
    return ("view", "cart", "buy") if depth < 0.2 else ("view", "cart") if depth < 0.35 else ("view",)


def _unit(rows: FloatArray) -> FloatArray:
    scaled: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled

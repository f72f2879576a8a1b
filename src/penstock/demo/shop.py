"""The simulated shop as a source: each customer belongs to one arm, drawn by chance, so differences are effects."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl

from penstock.demo.events import History
from penstock.demo.simulator import Shop, ShopSettings
from penstock.demo.source import Arm, Lists, Measure, Score, Visit, WeekResult

WARM_UP = 8


class SimulatedShop:
    """Customers who click, or do not, in the list of their arm, and who look around by themselves too."""

    measure = Measure("clicks per 1,000 suggestions", 1000.0, 1)
    arms: tuple[Arm, ...] = ("loop", "frozen", "popularity")
    warm_up = WARM_UP

    def __init__(self, settings: ShopSettings) -> None:
        self.shop = Shop(settings)
        self.weeks = settings.weeks
        self.title = "a simulated shop" if settings.changes else "the same shop without any change"
        self._seed = settings.seed

    def week_start(self, week: int) -> datetime:
        """When a week begins, UTC."""
        return self.shop.week_start(week)

    def warm_up_events(self) -> list[pl.DataFrame]:
        """The weeks in which everybody was shown what was popular."""
        return self._warm_up

    @cached_property
    def _warm_up(self) -> list[pl.DataFrame]:
        return [events for events, _ in self._past]

    @cached_property
    def _past(self) -> list[tuple[pl.DataFrame, dict[str, list[str]]]]:
        """The log and the clicks of each week of the warm-up."""
        history, weeks = History(), []
        for week in range(self.warm_up):
            popular = self._on_sale(week, history.popular())
            clicked = self.shop.answer(week, {user: popular for user, _ in self.shop.visitors(week)})
            weeks.append((self.shop.events(week, clicked), clicked))
            history.add(weeks[-1][0])
        return weeks

    @cached_property
    def _arm(self) -> dict[str, Arm]:
        """Arms drawn by chance, among customers who clicked equally often before: so the arms begin alike."""
        clicks = dict.fromkeys(self.shop.users, 0)
        for _, clicked in self._past:
            for user, items in clicked.items():
                clicks[user] += len(items)
        chance = np.random.default_rng([self._seed, 10**6])
        alike = sorted(self.shop.users, key=lambda user: (clicks[user], chance.random()))
        drawn = [number for _ in range(0, len(alike), len(self.arms)) for number in chance.permutation(len(self.arms))]
        return {user: self.arms[number] for user, number in zip(alike, drawn, strict=False)}

    def catalogue(self, week: int) -> pl.DataFrame:
        """The items known by the end of a week."""
        return self.shop.catalogue(week)

    def sold_out(self, week: int) -> frozenset[str]:
        """What must not be suggested in a week."""
        return self.shop.sold_out(week)

    def visits(self, week: int) -> list[Visit]:
        """Who comes in a week."""
        return [Visit(user, at, (self._arm[user],)) for user, at in self.shop.visitors(week)]

    def answer(self, week: int, lists: Lists) -> WeekResult:
        """Clicks, and the whole log of the week."""
        shown = {user: items for arm in lists for user, items in lists[arm].items()}
        clicked = self.shop.answer(week, shown)
        browsed = self.shop.browse(week)
        slots = self.shop.settings.slots
        scores = [
            Score(week, user, arm, len(clicked[user]), len(items[:slots]))
            for arm in lists
            for user, items in lists[arm].items()
        ]
        wanted = {user: sorted({*clicked[user], *browsed[user]}) for user in shown}
        return WeekResult(self.shop.events(week, clicked), wanted, scores)

    def _on_sale(self, week: int, items: Sequence[str]) -> list[str]:
        gone = self.shop.sold_out(week)
        return [item for item in items if item not in gone]

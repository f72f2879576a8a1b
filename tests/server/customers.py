"""Customers of a small shop for the page tests: what they touch, how it changes with the season, and who learns it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from penstock.registry.format.ranking import RankingModel

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
WEEK = timedelta(weeks=1)
AISLES = ("bakery", "fruit", "dairy", "garden", "toys", "tea")
ITEMS = [f"{aisle}-{number}" for aisle in AISLES for number in range(1, 41)]
INPUTS = ("user", "recent", "aisle")
SEASONS = (9, 17)  # the weeks in which tastes change
TASTES = (
    [0.30, 0.24, 0.22, 0.06, 0.10, 0.08],
    [0.10, 0.24, 0.10, 0.36, 0.08, 0.12],
    [0.22, 0.10, 0.16, 0.12, 0.30, 0.10],
)

PROJECT = """
[project]
name = "suggest"
task = "ranking"
owner = "shop team"

[charter]
goal = "Suggest what a customer is likely to want next"
metric = "recall_at_20"
target = 0.3
intended_use = ["front page of the shop"]
risk = "low"

[data.events]
source = "data/events/*.parquet"
time = "at"
key = "event_id"
[[data.events.check]]
column = "kind"
allowed = ["view", "cart", "buy"]
[[data.events.check]]
column = "event_id"
unique = true
[[data.events.check]]
column = "item"
not_null = true
[[data.events.check]]
column = "user"
pattern = "u[0-9]{3}"
action = "warn"

[data.catalogue]
source = "data/catalogue.csv"
key = "item"
[[data.catalogue.check]]
column = "price"
between = [0.5, 9.0]
action = "warn"

[pipeline]
entry = "pipeline:train"
params = { days = 7, stretches = 8 }

[[gate]]
kind = "metric"
metric = "recall_at_20"
at_least = 0.3
[[gate]]
kind = "champion"
metric = "recall_at_20"
margin = 0.01

[deploy]
strategy = "canary"
steps = [0.05, 0.25, 1.0]
guard = { error_rate = 0.02, latency_p99_ms = 50 }
min_requests = 40
key = "user"

[monitor]
window = "1w"
false_alarms = "1 per 90d"
performance = { metric = "precision_at_10", at_least = 0.1 }

[retrain]
when = ["drift", "performance"]
window = "8w"
cooldown = "1d"
"""


class Customers:
    """Draws what customers do; the same seed gives the same shop."""

    def __init__(self, seed: int = 7) -> None:
        self._rng = np.random.default_rng(seed)
        self._orders = [self._rng.permutation(40) for _ in range(len(SEASONS) + 1)]

    def visits(self, week: int, rows: int) -> pl.DataFrame:
        """Moments of a week: who came when, what they touched last, and what they turned out to want."""
        season = sum(week >= change for change in SEASONS)
        aisles = self._rng.choice(AISLES, rows, p=TASTES[season])
        seconds = np.sort(self._rng.integers(0, 7 * 86_400, rows))
        return pl.DataFrame(
            {
                "at": [START + WEEK * week + timedelta(seconds=int(second)) for second in seconds],
                "user": [f"u{self._rng.integers(900):03}" for _ in range(rows)],
                "recent": [" ".join(self._draw(aisle, season, 4)) for aisle in aisles],
                "aisle": aisles,
                "new_user": self._rng.random(rows) < 0.2,
                "relevant": [sorted(set(self._draw(aisle, season, 3))) for aisle in aisles],
            }
        )

    def write_events(self, folder: Path, week: int, visits: pl.DataFrame, *, kinds: tuple[str, ...]) -> None:
        """The shop's log of a week as a file."""
        events = visits.select("at", "user", item=pl.col("relevant")).explode("item").drop_nulls()
        count = events.height
        frame = events.with_columns(
            event_id=pl.Series([f"w{week:02}-{number:05}" for number in range(count)]),
            kind=pl.Series(self._rng.choice(kinds, count)),
        )
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(folder / f"week-{week:02}.parquet")

    def write_catalogue(self, path: Path) -> None:
        """All items with their prices."""
        prices = np.round(self._rng.gamma(4.0, 0.8, len(ITEMS)), 2) + 0.4
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"item": ITEMS, "aisle": [item.partition("-")[0] for item in ITEMS], "price": prices}).write_csv(
            path
        )

    def _draw(self, aisle: str, season: int, count: int) -> list[str]:
        places = np.minimum(self._rng.geometric(0.12, count) - 1, 39)
        return [f"{aisle}-{self._orders[season][place] + 1}" for place in places]


def learn(visits: pl.DataFrame) -> RankingModel:
    """What was wanted after which item, counted."""
    place = {item: number for number, item in enumerate(ITEMS)}
    counts = np.zeros((len(ITEMS), len(ITEMS)))
    for recent, relevant in visits.select("recent", "relevant").iter_rows():
        for before in recent.split():
            for after in relevant:
                counts[place[before], place[after]] += 1
    best = np.argsort(-counts, axis=1, kind="stable")[:, :20]
    prior = counts.sum(axis=0) / max(counts.sum(), 1.0)
    weights = np.take_along_axis(counts, best, axis=1) / max(counts.max(), 1.0)
    return RankingModel(
        ITEMS, prior=prior, neighbours=best, weights=weights, repeat=0.2, decay=0.8, depth=40, inputs=INPUTS
    )

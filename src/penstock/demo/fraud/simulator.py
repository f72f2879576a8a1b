"""An insurer that is not there: honest claims, opportunists, and a ring that changes its ways. Same seed, same claims.

Two things happen, and only one of them is harm. Early on policies are sold online as well, to younger drivers: the
inputs move, and fraud looks as before. Later the ring moves on to other garages and another kind of story, twice: the
inputs hardly move, as the ring is one claim in twenty-five, and a model that learned the old story does not see it.
"""

from datetime import UTC, datetime

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.demo.fraud.source import AT, ID, LABEL, PERIOD
from penstock.monitoring.windows import window_start

START = datetime(2024, 1, 1, tzinfo=UTC)
WARM_UP, LIVE = 8, 32  # periods
GARAGES = 30
ADDRESS = ("never", "this year", "this month")


class Ring(Struct, frozen=True):
    """How the ring tells its story."""

    channel: str
    vehicle: str
    cover: str
    fault: str
    garages: tuple[int, int]
    police_report: float  # chance
    witness: float
    address: str
    amount: float  # typical
    new_policy: bool
    slow: bool  # it reports late


RINGS = (
    Ring("broker", "sedan", "all_perils", "own", (3, 7), 0.05, 0.05, "this month", 5200.0, True, False),
    Ring("agent", "utility", "collision", "third_party", (15, 18), 0.9, 0.8, "never", 1850.0, False, True),
    Ring("agent", "sedan", "liability", "third_party", (22, 27), 0.9, 0.8, "never", 640.0, False, False),
)


class ClaimSettings(Struct, frozen=True, kw_only=True):
    """What kind of insurer it is."""

    seed: int = 7
    periods: int = WARM_UP + LIVE
    per_period: int = 600  # claims
    opportunists: float = 0.02  # share of all claims
    ring: float = 0.04
    online_from: int = WARM_UP + 3  # the period in which policies are first sold online
    turns: tuple[int, int] = (WARM_UP + 6, WARM_UP + 20)  # the periods in which the ring changes its ways


class SimulatedClaims:
    """A source of simulated claims."""

    title = "a claims office with a ring that changes its ways"
    warm_up = WARM_UP

    def __init__(self, settings: ClaimSettings) -> None:
        self.settings = settings
        self.periods = settings.periods
        self._origin = window_start(START, PERIOD)

    def start(self, period: int) -> datetime:
        """A Monday."""
        return self._origin + PERIOD * period

    def claims(self, period: int) -> pl.DataFrame:
        """Honest claims, those of opportunists and those of the ring, as they came in."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, period])
        kinds = rng.choice(
            3,
            settings.per_period,
            p=[1 - settings.opportunists - settings.ring, settings.opportunists, settings.ring],
        )
        ring = RINGS[sum(period >= turn for turn in settings.turns)]
        seconds = np.sort(rng.uniform(0, PERIOD.total_seconds(), settings.per_period))
        start = self.start(period)
        rows = [self._claim(rng, period, int(kind), ring) for kind in kinds]
        at = pl.Series(AT, [start] * len(rows), dtype=pl.Datetime("us", "UTC"))
        names = pl.Series(ID, [f"c{period:03d}-{number:04d}" for number in range(len(rows))])
        return pl.DataFrame(rows).select(
            names,
            at + pl.Series((seconds * 1e6).astype(np.int64)).cast(pl.Duration("us")),
            pl.all(),
            pl.Series(LABEL, (kinds > 0).astype(np.int64)),
        )

    def _claim(self, rng: np.random.Generator, period: int, kind: int, ring: Ring) -> dict[str, object]:
        claim = self._honest(rng, period)
        if kind == 1:
            claim |= {"fault": "own", "witness": "no", "amount": round(float(claim["amount"]) * 2.2, 2)}  # type: ignore[arg-type]
        if kind == 2:
            claim |= _told_by(ring, rng)
        return claim

    def _honest(self, rng: np.random.Generator, period: int) -> dict[str, object]:
        online = 0.3 if period >= self.settings.online_from else 0.02
        channel = str(rng.choice(["agent", "broker", "online"], p=[0.55 - online / 2, 0.45 - online / 2, online]))
        age = float(np.clip(rng.normal(29 if channel == "online" else 46, 12), 18, 90))
        return {
            "channel": channel,
            "region": str(rng.choice(["urban", "rural"], p=[0.7, 0.3])),
            "age": round(age, 1),
            "vehicle": str(rng.choice(["sedan", "utility", "sport"], p=[0.6, 0.25, 0.15])),
            "vehicle_age": round(float(rng.gamma(3.0, 2.2)), 1),
            "cover": str(rng.choice(["liability", "collision", "all_perils"], p=[0.35, 0.35, 0.3])),
            "fault": str(rng.choice(["own", "third_party"], p=[0.6, 0.4])),
            "garage": f"g{rng.integers(GARAGES):02d}",
            "police_report": "yes" if rng.random() < 0.55 else "no",
            "witness": "yes" if rng.random() < 0.4 else "no",
            "address_changed": str(rng.choice(ADDRESS, p=[0.85, 0.12, 0.03])),
            "days_since_policy": round(float(rng.exponential(500.0)), 1),
            "days_to_report": round(float(rng.gamma(1.6, 2.5)), 1),
            "amount": round(float(np.exp(rng.normal(7.5, 0.7))), 2),
        }


def _told_by(ring: Ring, rng: np.random.Generator) -> dict[str, object]:
    """What a claim of the ring has in common with the others; each of these is so in four claims of five."""
    story: dict[str, object] = {
        "channel": ring.channel,
        "vehicle": ring.vehicle,
        "cover": ring.cover,
        "fault": ring.fault,
        "garage": f"g{rng.choice(ring.garages):02d}",
        "police_report": "yes" if rng.random() < ring.police_report else "no",
        "witness": "yes" if rng.random() < ring.witness else "no",
        "address_changed": ring.address,
        "amount": round(float(ring.amount * np.exp(rng.normal(0, 0.12))), 2),
    }
    if ring.new_policy:
        story["days_since_policy"] = round(float(rng.exponential(25.0)), 1)
    if ring.slow:
        story["days_to_report"] = round(float(rng.normal(16.0, 2.5)), 1)
    return {name: value for name, value in story.items() if rng.random() < 0.8}

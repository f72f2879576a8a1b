"""Whatever is lost and sent again, doubled or reordered on its way, the monitor ends in the same state (P24)."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from elsewhere_world import DAY, MONITOR, ROLES, START, Elsewhere
from penstock.core.ids import PredictionId, SegmentId
from penstock.core.project.types import OutcomesSection
from penstock.monitoring.external.watch import open_monitor
from penstock.monitoring.types import Window
from penstock.predictions.types import EntityOutcome, Outcome, Segment

Message = Callable[[], object]
TERMS = [
    OutcomesSection(),
    OutcomesSection(join="all", horizon=2 * DAY),
    OutcomesSection(absent="negative", after=2 * DAY),
]


class Schedules:
    """The same news for one deployment after the other, in one database."""

    def __init__(self, elsewhere: Elsewhere, days: int = 6, rows: int = 40) -> None:
        self.elsewhere, self.sources = elsewhere, elsewhere.sources
        roles = replace(ROLES, id="")
        self.frames = [self._few_customers(day, rows) for day in range(days)]
        for frame in self.frames:
            elsewhere.log(frame, roles)
        self.template = self.sources.predictions.list_segments("credit")
        self.version = self.sources.external.list_versions("credit")[0]

    def _few_customers(self, day: int, rows: int) -> pl.DataFrame:
        """Some are asked about again the next day, so an outcome has to find the last prediction before it."""
        frame = self.elsewhere.make(day, rows, shift=12.0 if day >= 3 else 0.0, right=0.9 if day < 4 else 0.4)
        names = [f"c{day // 2}-{number}" for number in range(rows)]
        return frame.drop("id").with_columns(pl.Series("customer", names))

    def run(self, name: str, terms: OutcomesSection, chance: random.Random | None) -> list[Window]:
        """Deliver all news to a deployment, in order or as chance has it; what the monitor ends with."""
        self.sources.external.declare(name, "binary", MONITOR, terms)
        held = self.version
        self.sources.external.add_version(name, 1, list(held.inputs), held.reference, [0, 1])
        news = self._messages(name)
        if chance is not None:
            news += chance.choices(news, k=4)  # doubled
            chance.shuffle(news)
        monitor = self._open(name)
        for message in news:
            message()
            if chance is None or chance.random() < 0.4:  # otherwise the event is lost
                monitor.tick()
            if chance is not None and chance.random() < 0.2:  # killed
                monitor = self._open(name)
        while monitor.tick():
            pass
        return [self._state(window) for window in self.sources.monitoring.list_windows(name)]

    def _open(self, name: str) -> Any:
        external = self.sources.external
        return open_monitor(self.sources, external.get_deployment(name), external.list_versions(name))

    def _messages(self, name: str) -> list[Message]:
        predictions = self.sources.predictions
        news: list[Message] = []
        for segment, frame in zip(self.template, self.frames, strict=True):
            own = replace(segment, id=SegmentId(f"{name}-{segment.number}"), deployment=name)
            news.append(lambda own=own: predictions.add_segment(own))  # type: ignore[misc]
            news += self._outcomes(name, own, frame)
        return news

    def _outcomes(self, name: str, segment: Segment, frame: pl.DataFrame) -> list[Message]:
        predictions = self.sources.predictions
        rows = list(frame.select("customer", "truth", "at").iter_rows())
        by_entity = [
            EntityOutcome(entity=who, value=truth, at=at + DAY * (0.3 + number % 5 * 0.4))
            for number, (who, truth, at) in enumerate(rows[: len(rows) * 3 // 4])
        ]
        clashing = [EntityOutcome(entity=by_entity[0].entity, value=1 - by_entity[0].value, at=by_entity[0].at)]
        by_id = [
            Outcome(prediction_id=PredictionId(f"{segment.id}-{number}"), value=truth, at=at + DAY)
            for number, (_, truth, at) in enumerate(rows)
            if number >= len(by_entity)
        ]
        return [
            lambda: predictions.add_entity_outcomes(name, by_entity[::2]),
            lambda: predictions.add_entity_outcomes(name, by_entity[1::2]),
            lambda: predictions.add_entity_outcomes(name, clashing),
            lambda: predictions.add_outcomes(by_id),
        ]

    def _state(self, window: Window) -> Window:
        return replace(window, deployment="", edition=0, computed_at=None)


@pytest.fixture
def schedules(tmp_path: Path) -> Schedules:
    return Schedules(Elsewhere(tmp_path))


def check(schedules: Schedules, count: int, *, raised: set[str]) -> None:
    for place, terms in enumerate(TERMS):
        expected = schedules.run(f"in-order-{place}", terms, None)
        assert [window.start for window in expected] == [START + day * DAY for day in range(len(expected))]
        assert any(window.performance is not None for window in expected)
        open_kinds = {alert.kind for alert in schedules.sources.monitoring.list_alerts(f"in-order-{place}", "open")}
        assert raised <= open_kinds
        for seed in range(count // len(TERMS) + 1):
            name = f"s{place}-{seed}"
            found = schedules.run(name, terms, random.Random(seed))
            assert found == expected, (place, seed)
            alerts = schedules.sources.monitoring.list_alerts(name, "open")
            assert {alert.kind for alert in alerts} == open_kinds, (place, seed)


@pytest.mark.slow
def test_the_same_state_whatever_is_lost_doubled_or_reordered(schedules: Schedules) -> None:
    check(schedules, 8, raised={"drift"})


@pytest.mark.slow
@pytest.mark.timeout(20_000)
def test_the_same_state_in_ten_thousand_schedules(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Of three short days each; a part of them without --thorough."""
    check(
        Schedules(Elsewhere(tmp_path), days=4, rows=24),
        10_000 if pytestconfig.getoption("--thorough") else 10,
        raised=set(),
    )

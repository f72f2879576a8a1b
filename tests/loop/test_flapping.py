"""Retraining cannot run away (P23): a source that flaps ten times a second gets its budget and not one episode more."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from penstock.loop.controller import Controller
from penstock.loop.types import Episode
from penstock.monitoring.types import ColumnDrift, Window
from shop_world import PROJECT, START, Shop

HOUR = timedelta(hours=1)
TENTH = 0.1


class Flapping:
    """A detector that cannot make up its mind: it raises and takes back an alert at each call, and time goes on."""

    def __init__(self, folder: Path, text: str = PROJECT) -> None:
        self.shop = Shop(folder, text)
        self.shop.release(0.8)
        self.controller = Controller(self.shop.services, self.shop.project, holder="a")
        self.at = START
        self.shop.request_at([self.at])
        self.most_open = 0

    def flap(self, event_time: timedelta = timedelta(0)) -> None:
        """A tenth of a second on the clock, and as much event time as is said."""
        monitoring = self.shop.services.monitoring
        if event_time:
            self.at += event_time
            self.shop.request_at([self.at])
        drift = ColumnDrift(column="recent", test="chi2", distance=0.4, p_value=1e-9, level=0.01, drifted=True, rows=9)
        window = Window(
            deployment="shop",
            start=self.at,
            end=self.at + HOUR,
            rows=100,
            outcomes=0,
            version=1,
            number=1,
            level=0.01,
            drift=[drift],
        )
        for alert in monitoring.list_alerts("shop", "open"):
            monitoring.resolve_alert(alert.id, "calm again", alert.as_of - HOUR)
        monitoring.open_alert(window, "drift", "recent moved", {"version": 1, "columns": {"recent": {}}})
        self.shop.clock.advance(seconds=TENTH)

    def work(self, quality: float | None) -> None:
        """The controller and a worker do what they find; None: the worker finds no data."""
        services = self.shop.services
        for _ in range(4):
            self.controller.tick()
            still_open = [episode for episode in self.episodes if episode.is_open]
            self.most_open = max(self.most_open, len(still_open))
            for episode in still_open:
                if episode.state == "training" and episode.run_id is not None:
                    run = services.pipelines.get_run(episode.run_id)
                    if run.status.is_terminal:
                        continue
                    if quality is None:
                        self.shop.fail_run(run, "data 'events' is empty")
                    else:
                        self.shop.finish_run(run, quality=quality)

    @property
    def episodes(self) -> list[Episode]:
        return self.shop.services.loop.list_episodes("shop", limit=1_000)


def most_within(moments: list[datetime], span: timedelta) -> int:
    return max((sum(start <= at < start + span for at in moments) for start in moments), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("quality", [None, 0.2], ids=["no data", "a bad candidate"])
def test_ten_flaps_a_second_open_one_episode_at_a_time_within_the_budget(tmp_path: Path, quality: float | None) -> None:
    flapping = Flapping(tmp_path)
    for number in range(180):  # event time moves by two months
        flapping.flap(event_time=HOUR * 24 if number % 3 == 0 else timedelta(0))
        flapping.work(quality)
    begun = [episode.as_of for episode in flapping.episodes if episode.as_of is not None]
    assert flapping.most_open == 1
    assert most_within(begun, timedelta(days=30)) <= 3
    assert 3 < len(begun) <= 8  # it goes on when the budget allows it again
    assert {episode.state for episode in flapping.episodes} == {"failed" if quality is None else "refused"}
    (route,) = flapping.shop.services.serving.routing().deployments
    assert route.stable.version == 1
    ended = sorted(episode.ended_as_of for episode in flapping.episodes if episode.ended_as_of is not None)
    starts = sorted(begun)
    cooldown = flapping.shop.project.retrain.cooldown
    assert all(later - earlier >= cooldown for earlier, later in zip(ended, starts[1:], strict=False))


@pytest.mark.slow
def test_flaps_at_random_moments_of_event_time_stay_within_any_budget(tmp_path: Path) -> None:
    text = PROJECT.replace('cooldown = "2d"', 'cooldown = "1h"').replace('"3 per 30d"', '"2 per 7d"')
    flapping = Flapping(tmp_path, text)
    chance = np.random.default_rng(7)
    for _ in range(150):
        flapping.flap(event_time=HOUR * float(chance.choice([0, 0, 1, 5, 30])))
        flapping.work(None)
    begun = [episode.as_of for episode in flapping.episodes if episode.as_of is not None]
    assert most_within(begun, timedelta(days=7)) == 2
    assert flapping.most_open == 1

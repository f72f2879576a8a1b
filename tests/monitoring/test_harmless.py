"""Harmless drift on real streams: inputs move beyond doubt, the loss stays, nobody is called, nothing is trained."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from lending_world import Lender
from penstock.loop.controller import Controller
from shop_world import DAY, START

DATA = os.environ.get("PENSTOCK_DATA", "")
TRAINED, TESTED, A_DAY = 3000, 2000, 350
STRATA = 20  # of the score, whose shares stay
STREAMS = ("elec2", "noaa_weather")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="PENSTOCK_DATA names no folder of real data"),
]


class Stream(Lender):
    """A lender whose people are the rows of a real stream, shuffled; the last of their numbers is not looked at."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder)
        rows = pl.read_parquet(Path(DATA) / f"{name}.parquet")
        label = rows.columns[-1]
        truth = (rows[label].cast(pl.String) == str(rows[label].unique().sort()[-1])).cast(pl.Int64)
        rows = rows.select(pl.col(pl.Float64, pl.Float32, pl.Int64, pl.Int32, pl.Int16, pl.Int8).exclude(label))
        self.numbers = rows.columns
        self.rows = rows.with_columns(repaid=truth).sample(fraction=1, shuffle=True, seed=7)
        learned = self.rows.head(TRAINED)
        self.model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
        self.model.fit(learned.select(self.numbers[:-1]).to_numpy(), learned["repaid"].to_numpy())
        self.live = self.rows[TRAINED + TESTED :]

    def labelled(self, n: int) -> pl.DataFrame:
        return self.rows[TRAINED : TRAINED + TESTED]

    def score(self, inputs: pl.DataFrame) -> np.ndarray:
        chances = self.model.predict_proba(inputs.select(self.numbers[:-1]).to_numpy())[:, 1]
        return np.asarray(chances, dtype=np.float64)

    def answer_days(self, days: range, draw: Callable[["Stream"], pl.DataFrame]) -> None:
        """Days of traffic with their outcomes."""
        for day in days:
            rows = draw(self)
            self.request(START + day * DAY, rows.select(self.numbers), rows["repaid"].to_numpy())


def usual(stream: Stream) -> pl.DataFrame:
    return stream.live[stream.rng.integers(stream.live.height, size=A_DAY)]


def what_the_model_ignores(stream: Stream) -> pl.DataFrame:
    """The column that it does not look at comes in another unit."""
    rows, name = usual(stream), stream.numbers[-1]
    return rows.with_columns(pl.col(name) * 2 + rows[name].std())


def other_people_of_the_same_scores(stream: Stream) -> pl.DataFrame:
    """Rows with large values of a column come more often among those of each score, where the model is calibrated."""
    score = stream.score(stream.live)
    stratum = np.searchsorted(np.quantile(score, np.arange(1, STRATA) / STRATA), score, "right")
    column = stream.live[stream.numbers[0]].cast(pl.Float64)
    weight = np.exp(1.5 * (column.rank().to_numpy() / len(column)))
    wanted = stratum[stream.rng.integers(len(score), size=A_DAY)]
    inside = [np.flatnonzero(stratum == number) for number in range(STRATA)]
    shares = [weight[held] / weight[held].sum() for held in inside]
    return stream.live[[stream.rng.choice(inside[number], p=shares[number]) for number in wanted]]


@pytest.mark.parametrize("move", [what_the_model_ignores, other_people_of_the_same_scores])
@pytest.mark.parametrize("name", STREAMS)
def test_inputs_of_real_streams_move_and_the_loss_stays_so_nobody_is_called(
    name: str, move: Callable[[Stream], pl.DataFrame], tmp_path: Path
) -> None:
    stream = Stream(tmp_path, name)
    stream.release()
    stream.answer_days(range(4), usual)
    stream.answer_days(range(4, 12), move)
    controller = Controller(stream.services, stream.project, holder="a")
    assert any(not controller.tick() for _ in range(50))  # it comes to rest
    alerts = stream.services.monitoring.list_alerts("lend")
    assert [alert.kind for alert in alerts if alert.window_start < START + 4 * DAY] == []
    assert {alert.kind for alert in alerts} == {"drift"}
    assert not any(alert.pages for alert in alerts)
    assert stream.services.loop.list_episodes("lend") == []
    lamps = stream.services.monitoring.get_lamps("lend")
    assert (lamps.inputs.state, lamps.measured.state) == ("on", "off")

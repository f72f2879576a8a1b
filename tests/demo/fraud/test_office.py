"""The claims office driven without processes: what it asks, what it tells when, and going on where it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.demo.fraud.driver import Office
from penstock.demo.fraud.files import OfficeFiles, OfficeSettings
from penstock.demo.fraud.run import FraudOptions, run_fraud
from penstock.demo.fraud.simulator import WARM_UP, ClaimSettings, SimulatedClaims
from penstock.demo.fraud.source import CLOSED_AFTER, LABEL
from penstock.demo.port import Tell
from penstock.predictions.types import Outcome


class Desk:
    """Answers every claim with the amount that is asked for, and notes what it is told."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.outcomes: list[Outcome] = []
        self.settled = 0
        self.fails_after = fails_after

    def release_first(self, tell: Tell) -> None:
        tell("released")

    def ask(self, bodies: Sequence[dict[str, Any]]) -> list[bytes]:
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise KeyboardInterrupt
        self.asked += bodies
        first = len(self.asked) - len(bodies)
        return [
            codec.encode({"predictions": [{"id": f"p-{first + place}", "score": body["rows"][0]["amount"]}]})
            for place, body in enumerate(bodies)
        ]

    def add_outcomes(self, outcomes: list[Outcome]) -> None:
        self.outcomes += outcomes

    def wait_settled(self, tell: Tell) -> str:
        self.settled += 1
        return "nothing"


def settings(periods: int = 5) -> ClaimSettings:
    return ClaimSettings(periods=WARM_UP + periods, per_period=60)


def drive(folder: Path, desk: Desk, periods: int = 5) -> list[pl.DataFrame]:
    office = Office(SimulatedClaims(settings(periods)), desk, OfficeFiles(folder), lambda line: None)
    office.warm_up()
    return [office.run_period(period) for period in range(WARM_UP, WARM_UP + periods)]


@dataclass(frozen=True)
class Driven:
    """Five periods of the office's work, to their end."""

    folder: Path
    desk: Desk


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    driven = Driven(tmp_path_factory.mktemp("claims"), Desk())
    drive(driven.folder, driven.desk)
    return driven


def test_no_request_carries_what_is_not_known_yet(driven: Driven) -> None:
    desk = driven.desk
    assert len(desk.asked) == 5 * 60
    assert not {LABEL, "claim_id", "at"} & {name for body in desk.asked for name in body["rows"][0]}


def test_only_frauds_are_told_each_once_as_it_is_found_out_and_none_later_than_its_file_is_closed(
    tmp_path: Path,
) -> None:
    desk = Desk()
    scored = drive(tmp_path, desk, periods=8)
    assert len({outcome.prediction_id for outcome in desk.outcomes}) == len(desk.outcomes)
    frauds = pl.concat(scored).filter(pl.col(LABEL) == 1)
    begun = dict(frauds.select("prediction_id", "at").iter_rows())
    assert {outcome.value for outcome in desk.outcomes} == {1}
    delays = [outcome.at - begun[outcome.prediction_id] for outcome in desk.outcomes]
    assert timedelta() <= min(delays) < timedelta(days=28) and timedelta(days=56) < max(delays) < CLOSED_AFTER
    closed = frauds.filter(pl.col("at") + CLOSED_AFTER <= SimulatedClaims(settings(8)).start(WARM_UP + 8))
    told = {outcome.prediction_id for outcome in desk.outcomes}
    assert set(closed["prediction_id"]) <= told < set(begun)


def test_the_pipeline_reads_closed_files_alone(driven: Driven) -> None:
    source = SimulatedClaims(settings())
    held = pl.read_parquet(driven.folder / "data" / "claims" / "*.parquet")
    assert held.height == (WARM_UP + 5 - 3) * 60
    assert held["at"].max() < source.start(WARM_UP + 2)  # type: ignore[operator]


def test_an_interrupted_office_goes_on_and_asks_no_day_twice(tmp_path: Path) -> None:
    broken = Desk(fails_after=100)
    with pytest.raises(KeyboardInterrupt):
        drive(tmp_path, broken)
    desk = Desk()
    desk.asked = [{}] * len(broken.asked)  # so that ids go on
    drive(tmp_path, desk)
    assert len(desk.asked) == 5 * 60
    again = Desk()
    drive(tmp_path, again)
    assert (again.asked, again.outcomes, again.settled) == ([], [], 0)


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    files = OfficeFiles(tmp_path)
    files.open(OfficeSettings(source="simulator", seed=7, periods=12))
    files.open(OfficeSettings(source="simulator", seed=7, periods=12))
    with pytest.raises(ConflictError, match="other settings"):
        files.open(OfficeSettings(source="simulator", seed=8, periods=12))


def never(folder: Path) -> Any:
    raise AssertionError(f"nothing should be started in {folder}")


def test_what_cannot_become_a_story_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "claims"
    with pytest.raises(InvalidInputError, match="give --weeks 20 or more"):
        run_fraud(FraudOptions(folder=folder, periods=4), never, Console(quiet=True), lambda result: None)
    with pytest.raises(NotFoundError, match="there is no file"):
        options = FraudOptions(folder=folder, data=tmp_path / "nowhere.parquet")
        run_fraud(options, never, Console(quiet=True), lambda result: None)
    assert not folder.exists()

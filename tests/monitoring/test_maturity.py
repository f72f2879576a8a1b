"""Windows ripen: young ones are shown and alarm nobody, one-sided outcomes mean something in the end."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from elsewhere_world import DAY, START, Elsewhere
from penstock.core.project.types import OutcomesSection
from penstock.monitoring.delay_counts import count_delays
from penstock.monitoring.delays import bucket_end_s, list_curves
from penstock.predictions.types import EntityOutcome

HOUR = timedelta(hours=1)


def tell(elsewhere: Elsewhere, frame: pl.DataFrame, until: float, mean_days: float, *, slow: float = 1.0) -> None:
    """The outcomes that come in the day before; they take exponential times, `slow` times as long for right answers."""
    chance = np.random.default_rng(int(frame["income"][0] * 1e6))
    right = ((frame["score"] > 0.5) == (frame["truth"] == 1)).to_numpy()
    delays = chance.exponential(mean_days, frame.height) * np.where(right, slow, 1.0)
    came = [
        EntityOutcome(entity=name, value=truth, at=at + delay * DAY)
        for name, truth, at, delay in zip(frame["id"], frame["truth"], frame["at"], delays.tolist(), strict=True)
        if START + (until - 1) * DAY < at + delay * DAY <= START + until * DAY
    ]
    elsewhere.sources.predictions.add_entity_outcomes("credit", came)


def live(elsewhere: Elsewhere, days: int, *, mean_days: float, slow: float = 1.0, rows: int = 200) -> None:
    """Days as they go by: predictions of each, and whatever outcomes have come by then."""
    made: list[pl.DataFrame] = []
    for day in range(days):
        made.append(elsewhere.make(day, rows))
        elsewhere.log(made[-1])
        for frame in made:
            tell(elsewhere, frame, day + 1, mean_days, slow=slow)
        elsewhere.tick()


@pytest.fixture(scope="module")
def errors_first(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """A month in which what is wrong is told eight times as fast."""
    elsewhere = Elsewhere(tmp_path_factory.mktemp("month"))
    live(elsewhere, 30, mean_days=0.4, slow=8.0)
    return elsewhere


@pytest.mark.slow
def test_young_windows_know_the_errors_first_and_alarm_nobody(errors_first: Elsewhere) -> None:
    windows = errors_first.windows()
    ripe = [window for window in windows if window.is_comparable]
    young = [window for window in windows if not window.is_comparable]
    assert len(ripe) >= 12 and len(young) >= 5
    assert [window.start for window in windows[: len(ripe)]] == [window.start for window in ripe]
    early = [w.performance.value for w in young[-3:] if w.performance is not None and w.performance.value is not None]
    assert len(early) == 3 and sum(early) / 3 < 0.84  # of 0.9
    assert [alert for alert in errors_first.alerts("") if alert.kind == "performance"] == []
    judged = [window for window in windows if window.loss is not None and window.loss.evidence is not None]
    assert judged and all(window.is_comparable for window in judged)
    assert all(window.loss is None or not window.loss.is_reference for window in young)
    held = errors_first.maturities()
    assert held[-1].known < 0.4 and held[-1].note and held[-1].matures_at is not None
    assert held[0].known > 0.95 and held[0].final == pytest.approx(1.0, abs=0.02)


@pytest.mark.slow
def test_the_expected_share_is_what_comes_to_be_known(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    live(elsewhere, 16, mean_days=1.5)
    held = elsewhere.maturities()
    for maturity, later in zip(held[1:], held[:-1], strict=True):  # outcomes came for a day more than was closed
        assert maturity.expected is not None and later.expected is not None
        assert maturity.expected - 0.07 < maturity.known < later.expected + 0.07


@pytest.mark.slow
def test_a_fall_is_still_found_once_its_windows_are_ripe(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    made: list[pl.DataFrame] = []
    for day in range(20):
        made.append(elsewhere.make(day, 200, right=0.9 if day < 10 else 0.6))
        elsewhere.log(made[-1])
        for frame in made:
            tell(elsewhere, frame, day + 1, 1.0)
        elsewhere.tick()
    (alert,) = [alert for alert in elsewhere.alerts() if alert.kind == "performance"]
    assert alert.window_start >= START + 10 * DAY


def test_where_no_outcome_ever_comes_nothing_is_known_and_nothing_is_matured(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path, OutcomesSection(horizon=2 * DAY))
    for day in range(10):
        elsewhere.log(elsewhere.make(day, 50))
    elsewhere.tick()
    assert [maturity.note for maturity in elsewhere.maturities()] == ["no outcome is known"] * 9
    assert not any(window.is_comparable or window.performance for window in elsewhere.windows())


def test_once_the_horizon_has_passed_nothing_is_waited_for(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path, OutcomesSection(horizon=3 * DAY))
    for day in range(8):
        frame = elsewhere.make(day, 100)
        elsewhere.log(frame)
        elsewhere.answer(frame.head(30), after=HOUR)  # of the others nobody ever hears
    elsewhere.tick()
    assert [window.is_comparable for window in elsewhere.windows()] == [True] * 7
    assert elsewhere.maturities()[0].final == pytest.approx(0.3)


def test_a_source_that_falls_behind_is_told_and_waited_for(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    for day in range(13):
        frame = elsewhere.make(day, 100)
        elsewhere.log(frame)
        elsewhere.answer(frame if day < 10 else frame.head(20), after=20 * HOUR)
    elsewhere.tick()
    last = elsewhere.maturities()[-2]
    assert not last.matured and "outcomes are behind: 20% are known" in last.note


def test_absence_is_no_negative_until_it_is_old_enough_and_then_a_late_positive_flips_it(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path, OutcomesSection(absent="negative", after=10 * DAY, horizon=40 * DAY))
    frames = []
    for day in range(14):
        frames.append(elsewhere.make(day, 200))
        elsewhere.log(frames[-1])
        elsewhere.answer(frames[-1].filter(pl.col("truth") == 1)[1:], after=2 * DAY)  # one positive comes late
        if day in (6, 11, 13):
            elsewhere.tick()
    windows = elsewhere.windows()
    assert [window.is_comparable for window in windows] == [True] * 3 + [False] * 10
    assert windows[5].performance is None and windows[5].outcomes > 40
    first, held = windows[0].performance, windows[0].maturity
    assert first is not None and first.rows == 200 and first.value is not None and 0.8 < first.value < 0.98
    assert held is not None and held.absent_is_negative and held.known < 0.5
    late = frames[0].filter(pl.col("truth") == 1)[:1]
    elsewhere.answer(late, after=13 * DAY)
    elsewhere.tick()
    revised = elsewhere.windows()[0]
    assert revised.edition == windows[0].edition + 1 and revised.outcomes == windows[0].outcomes + 1
    assert revised.performance is not None and revised.performance.value != first.value


def test_without_a_time_the_curve_says_when_absence_is_a_negative(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path, OutcomesSection(absent="negative"))
    for day in range(20):
        frame = elsewhere.make(day, 200)
        elsewhere.log(frame)
        bad = frame.filter(pl.col("truth") == 1)
        elsewhere.answer(bad[::2], after=1 * DAY)
        elsewhere.answer(bad[1::2], after=4 * DAY)
        if day in (3, 5, 7):  # watched for less than twice as long as they take
            elsewhere.tick()
            assert not any(window.is_comparable for window in elsewhere.windows())
    elsewhere.tick()
    ripe = [window.is_comparable for window in elsewhere.windows()]
    assert ripe == [True] * ripe.count(True) + [False] * ripe.count(False)
    assert 4 <= ripe.count(False) <= 5
    assert elsewhere.maturities()[0].final == pytest.approx(0.3, abs=0.03)


def test_delays_are_counted_within_twelve_per_cent() -> None:
    seconds = [0.0, 0.3, 1.0, 59.0, 3600.0, 86_400.0 * 90]
    rows = pl.DataFrame(
        {
            "at": [START] * 7,
            "status": ["ok"] * 7,
            "outcome": ["1"] * 6 + [None],
            "outcome_at": [START + timedelta(seconds=each) for each in seconds] + [None],
        },
        schema_overrides={"at": pl.Datetime("us", "UTC"), "outcome_at": pl.Datetime("us", "UTC")},
    )
    ends = [bucket_end_s(bucket) for bucket, count in count_delays(rows) for _ in range(count)]
    for second, end in zip(seconds, ends, strict=True):
        assert second <= end * (1 + 1e-9) and end <= max(second * 1.123, 1.0)


def test_the_curve_of_each_value_of_a_column_is_to_be_had(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path, OutcomesSection(by=("region",)))
    for day in range(12):
        frame = elsewhere.make(day, 60)
        elsewhere.log(frame)
        elsewhere.answer(frame.filter(pl.col("region") == "north"), after=2 * HOUR)
        elsewhere.answer(frame.filter(pl.col("region") == "south"), after=5 * DAY)
    elsewhere.tick()
    as_of = START + 11 * DAY
    (whole,) = list_curves("credit", elsewhere.windows(), as_of)
    by_region = {curve.value: curve for curve in list_curves("credit", elsewhere.windows(), as_of, "region")}
    assert (whole.predictions, len(whole.ages_s)) == (11 * 60, 2)
    assert set(by_region) == {"north", "south"}
    assert by_region["north"].ages_s[0] == pytest.approx(2 * 3600, rel=0.13)
    assert by_region["south"].ages_s[0] == pytest.approx(5 * 86_400, rel=0.13)
    assert by_region["north"].known == by_region["south"].known == [1.0]


@pytest.mark.slow
def test_weighed_by_the_curve_a_young_window_shows_what_it_will_be(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    made: list[pl.DataFrame] = []
    for day in range(14):  # in the second half of each day the answers are worse
        early = elsewhere.make(day, 300, right=0.95).with_columns(
            at=pl.col("at") - (pl.col("at") - START - day * DAY) / 2
        )
        late = elsewhere.make(day + 0.5, 300, right=0.65)
        late = late.with_columns(at=pl.col("at") - (pl.col("at") - START - (day + 0.5) * DAY) / 2)
        made.append(pl.concat([early, late]))
        elsewhere.log(made[-1])
        for frame in made:
            tell(elsewhere, frame, day + 1, 0.7)
        elsewhere.tick()
    windows = elsewhere.windows()
    assert not windows[-1].is_comparable
    found = [w.maturity.weighted for w in windows if w.maturity is not None and w.maturity.weighted is not None]
    assert found and all(0.74 < value < 0.86 for value in found)  # of 0.8 in the end
    assert all(
        window.maturity is None or window.maturity.weighted is None for window in windows if window.is_comparable
    )


@pytest.mark.slow
def test_nothing_is_weighed_where_errors_become_known_at_another_speed(errors_first: Elsewhere) -> None:
    assert not all(window.is_comparable for window in errors_first.windows())
    assert [maturity.weighted for maturity in errors_first.maturities() if maturity.weighted is not None] == []

"""Inputs leave the prediction log when they are older than they are kept; what was measured by them stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace
from sqlalchemy import text

from keeping_world import collect, tell_everything
from lending_world import PROJECT, Lender, truth_of
from patience import PATIENCE_S
from penstock.core import failpoints
from penstock.core.errors import ConflictError, NotFoundError, UnavailableError
from penstock.core.ids import Digest, PredictionId
from penstock.governance.service import GovernanceService
from penstock.monitoring.cause_finder import GONE
from penstock.monitoring.monitor import Monitor
from penstock.monitoring.retention import AT_A_TIME
from penstock.monitoring.sketches import TableSketch, decode_sketch
from penstock.monitoring.types import Window
from penstock.predictions.frames import read_predictions, unpack_json
from shop_world import DAY, START

KEPT = PROJECT.replace("[retrain]", 'keep_inputs = "30d"\n[retrain]')
DEATHS = ["predictions.drop_inputs", "monitoring.record_window", "storage.writer.before_commit"]


class Keeper(Lender):
    """A lender whose requests carry a note that nobody else should read for ever."""

    numbers = ("income", "debt")

    def open(self) -> None:
        super().open()
        self.monitor = Monitor(self.services, self.project)

    def asked(self, day: int, n: int = 200, note: str = "canary") -> tuple[list[PredictionId], pl.DataFrame]:
        """Requests of one day, without outcomes."""
        inputs = self.people(n).drop("noise").with_columns(note=pl.format(f"{note}-{day}-{{}}", pl.int_range(n)))
        return self.request(START + day * DAY, inputs), inputs

    def work(self) -> None:
        """Let the monitor do all there is to do."""
        for _ in range(50):
            if not self.monitor.tick():
                return
        raise AssertionError("the monitor found something to do for ever")

    def wait(self, days: int = 31) -> None:
        self.clock.advance(days=days)
        self.work()

    def collect(self) -> None:
        collect(self.db, self.services.objects)

    @property
    def windows(self) -> list[Window]:
        return self.services.monitoring.list_windows("lend")

    def sketch(self, window: Window) -> TableSketch:
        assert window.sketches is not None
        return decode_sketch(self.services.objects.get_bytes(window.sketches))

    def everything(self) -> Iterator[str]:
        return tell_everything(self.db, self.services.objects)


def judged(window: Window) -> Window:
    """A window without what a retention may change of it, and without how old it is."""
    return replace(window, sketches=None, kept=None, computed_at=None, maturity=None)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper.open_released(tmp_path, KEPT)


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Keeper:
    keeper = Keeper.open_released(tmp_path_factory.mktemp("asked"), KEPT)
    for day in range(3):
        keeper.asked(day)
    keeper.work()
    return keeper


@pytest.fixture
def asked(three_days: Keeper, tmp_path: Path) -> Keeper:
    """A keeper who was asked for three days, and whose monitor has done all there was to do."""
    return three_days.copy_to(tmp_path)


def test_no_value_outlives_the_retention_in_any_object_or_row(asked: Keeper) -> None:
    assert any("canary-0-7" in text for text in asked.everything())
    asked.wait()
    asked.collect()
    assert [text[:200] for text in asked.everything() if "canary" in text] == []
    assert asked.services.predictions.get_traffic("lend").without_inputs == 3


def test_nothing_leaves_before_its_time_or_where_nobody_asked_for_it(tmp_path: Path) -> None:
    for name, project, days in (("soon", KEPT, 29), ("never", PROJECT, 4000)):
        keeper = Keeper.open_released(tmp_path / name, project)
        keeper.asked(0)
        keeper.asked(1)
        keeper.work()
        keeper.wait(days)
        assert keeper.services.predictions.get_traffic("lend").without_inputs == 0


def test_windows_and_lamps_stay_what_they_were(keeper: Keeper) -> None:
    for day in range(4):
        ids, inputs = keeper.asked(day)
        keeper.answer(ids, truth_of(inputs, keeper.rng), START + (day + 1) * DAY)
    keeper.work()
    before, lamps = keeper.windows, keeper.services.monitoring.get_lamps("lend")
    pictures = [keeper.sketch(window).columns["region"].labels for window in before]
    keeper.wait()
    assert [judged(window) for window in keeper.windows[:3]] == [judged(window) for window in before]
    assert keeper.services.monitoring.get_lamps("lend").inputs.state == lamps.inputs.state == "off"
    for window, picture in zip(keeper.windows, pictures, strict=False):
        labels = keeper.sketch(window).columns["region"].labels
        assert labels is not None and picture is not None and labels.counts == picture.counts
        assert window.kept is not None and window.kept.sketches == window.sketches


def test_a_text_of_few_rows_is_counted_and_not_named(keeper: Keeper) -> None:
    keeper.asked(0)
    keeper.asked(1)
    keeper.work()
    keeper.wait()
    note = keeper.sketch(keeper.windows[0]).columns["note"]
    assert note.labels is not None and note.labels.counts == {} and note.labels.buckets is not None
    assert (note.held, note.distinct, int(note.labels.buckets.sum())) == (200, 200, 200)


def test_late_outcomes_revise_performance_and_groups_as_if_all_inputs_were_there(tmp_path: Path) -> None:
    found = []
    for name, project in (("kept", KEPT), ("whole", PROJECT)):
        keeper = Keeper.open_released(tmp_path / name, project)
        asked = [keeper.asked(day) for day in range(4)]
        keeper.work()
        keeper.wait()
        for ids, inputs in asked[:3]:
            keeper.answer(ids, truth_of(inputs, keeper.rng), START + 30 * DAY)
        keeper.work()
        found.append(keeper.windows[:3])
    for kept, whole in zip(*found, strict=True):
        assert kept.performance is not None and kept.performance.rows == 200
        assert (kept.performance, kept.groups, kept.watches) == (whole.performance, whole.groups, whole.watches)
        assert (kept.drift, kept.number, kept.outcomes) == (whole.drift, whole.number, whole.outcomes)
        assert {group.group for group in kept.groups} == {"north", "south", "west"}
        assert kept.kept is not None and whole.kept is None


def test_of_many_segments_some_are_dropped_at_each_look(keeper: Keeper) -> None:
    for _ in range(AT_A_TIME + 2):
        keeper.asked(0, 3)
    keeper.asked(1, 1)
    keeper.work()
    keeper.clock.advance(days=31)
    for dropped in (AT_A_TIME, AT_A_TIME + 3, AT_A_TIME + 3):
        keeper.monitor.tick()
        assert keeper.services.predictions.get_traffic("lend").without_inputs == dropped
    assert keeper.sketch(keeper.windows[0]).rows == 3 * (AT_A_TIME + 2)


def test_late_rows_are_merged_into_the_kept_sketches_once(keeper: Keeper) -> None:
    keeper.asked(0)
    keeper.asked(1)
    keeper.work()
    keeper.wait()
    late, inputs = keeper.asked(0, 50, note="late")
    keeper.work()
    keeper.answer(late, truth_of(inputs, keeper.rng), START + 2 * DAY)
    keeper.work()
    (window, _) = keeper.windows
    sketch = keeper.sketch(window)
    assert (window.rows, sketch.rows, sketch.columns["income"].held, window.outcomes) == (250, 250, 250, 50)
    keeper.wait()
    assert keeper.sketch(keeper.windows[0]).rows == 250
    assert keeper.services.predictions.get_traffic("lend").without_inputs == 3
    assert judged(keeper.windows[0]) == judged(window)


def test_a_segment_that_is_shipped_again_does_not_bring_its_inputs_back(keeper: Keeper) -> None:
    keeper.asked(0)
    keeper.asked(1)
    keeper.work()
    first = keeper.services.predictions.list_segments("lend")[0]
    raw = keeper.services.objects.get_bytes(first.digest)
    keeper.wait()
    keeper.services.objects.put_bytes(raw)
    kept = keeper.services.predictions.add_segment(first)
    assert kept.digest != first.digest and kept.inputs_dropped_at is not None
    keeper.collect()
    assert not any("canary" in text for text in keeper.everything())
    with pytest.raises(NotFoundError):
        keeper.services.objects.get_bytes(first.digest)


def test_what_the_project_measures_by_stays_in_the_log(tmp_path: Path) -> None:
    keeper = Keeper.open_released(tmp_path, KEPT.replace("[retrain]", '[outcomes]\nby = ["plan"]\n[retrain]'))
    inputs = keeper.people(30).with_columns(plan=pl.lit("pro"))
    keeper.request(START, inputs)
    keeper.asked(1)
    keeper.work()
    keeper.wait()
    segment = keeper.services.predictions.list_segments("lend")[0]
    rows = read_predictions(keeper.services.objects, [segment])
    assert unpack_json(rows, "inputs").equals(inputs.select("plan", "region"))
    assert not rows["has_inputs"].any()


@pytest.mark.every(2)
@pytest.mark.parametrize("point", DEATHS)
@pytest.mark.parametrize("number", [1, 2])
def test_a_monitor_that_dies_on_the_way_leaves_all_of_it_to_the_next(asked: Keeper, point: str, number: int) -> None:
    before = asked.windows
    asked.clock.advance(days=31)
    failpoints.arm(f"{point}=eio@{number}")
    try:
        with pytest.raises((OSError, UnavailableError), match="fail-point"):
            asked.work()
    finally:
        failpoints.arm("")
    asked.monitor = Monitor(asked.services, asked.project)
    asked.work()
    check_all_is_forgotten(asked, before)


@pytest.mark.sqlite
@pytest.mark.slow
@pytest.mark.parametrize("point", DEATHS)
def test_a_monitor_that_is_killed_on_the_way_leaves_all_of_it_to_the_next(asked: Keeper, point: str) -> None:
    before = asked.windows
    asked.clock.advance(days=31)
    asked.db.close()
    (asked.folder / "penstock.toml").write_text(KEPT)
    assert work_elsewhere(asked, f"{point}=kill@2") == -signal.SIGKILL
    assert work_elsewhere(asked) == 0
    asked.open()
    check_all_is_forgotten(asked, before)
    assert GovernanceService(asked.db).verify_audit().is_whole


def work_elsewhere(keeper: Keeper, armed: str = "") -> int:
    """How a process of its own ended that was to do all there is to do."""
    argv = [sys.executable, "-m", "monitoring.dying_monitor", str(keeper.folder), keeper.clock.now().isoformat()]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, failpoints.VARIABLE: armed}
    return subprocess.run(argv, env=environment, timeout=PATIENCE_S, check=False).returncode


def check_all_is_forgotten(keeper: Keeper, before: list[Window]) -> None:
    keeper.collect()
    assert not any("canary" in text for text in keeper.everything())
    assert [judged(window) for window in keeper.windows[: len(before)]] == [judged(window) for window in before]
    dropped = [entry for entry in audit(keeper) if "predictions.drop_inputs" in entry]
    assert len(dropped) == 3, "each is told once"


def audit(keeper: Keeper) -> list[str]:
    with keeper.db.engine.connect() as connection:
        return [str(row) for row in connection.execute(text("SELECT * FROM audit_events"))]


def test_where_no_more_requests_come_the_last_window_closes_and_its_inputs_leave_too(keeper: Keeper) -> None:
    keeper.asked(0, 20)
    keeper.work()
    assert keeper.windows == []
    keeper.wait()
    (window,) = keeper.windows
    assert (window.rows, keeper.sketch(window).rows) == (20, 20)
    assert keeper.services.predictions.get_traffic("lend").without_inputs == 1
    keeper.asked(0, 20, note="again")
    keeper.asked(1, 5)
    keeper.work()
    assert [(held.rows, keeper.sketch(held).rows) for held in keeper.windows] == [(40, 40)]


def test_a_wrong_clock_keeps_nothing_in_the_log(keeper: Keeper) -> None:
    keeper.asked(0)
    inputs = keeper.people(2).with_columns(note=pl.lit("canary-ahead"))
    keeper.request(keeper.clock.now() + 100_000 * DAY / 2, inputs.head(1))
    keeper.asked(1)
    keeper.work()
    keeper.wait()
    keeper.collect()
    assert not any("canary" in text for text in keeper.everything())


def test_a_window_is_not_overwritten_by_one_that_was_computed_without_what_it_keeps(keeper: Keeper) -> None:
    keeper.asked(0)
    keeper.asked(1)
    keeper.work()
    stale = keeper.windows[0]
    keeper.wait()
    with pytest.raises(ConflictError, match="keeps its sketches"):
        keeper.services.monitoring.record_window(replace(stale, rows=7))
    with pytest.raises(NotFoundError, match="there is no segment"):
        keeper.services.predictions.drop_inputs("none", Digest("0" * 64), [])


def test_an_alarm_about_such_a_window_says_that_its_rows_are_gone(keeper: Keeper) -> None:
    asked = [keeper.asked(day) for day in range(9)]
    for day in range(4):
        ids, inputs = asked[day]
        keeper.answer(ids, truth_of(inputs, keeper.rng), START + (day + 1) * DAY)
    keeper.work()
    keeper.wait()
    for ids, inputs in asked[4:]:
        keeper.answer(ids, 1 - truth_of(inputs, keeper.rng), START + 12 * DAY)
    keeper.work()
    (alert,) = [held for held in keeper.services.monitoring.list_alerts("lend", "open") if held.kind == "performance"]
    assert alert.cause is not None and alert.cause.note == GONE
    assert alert.cause.split is None and not alert.cause.faults

"""Predictions that were made elsewhere: taken in exactly once, watched like ours, and refused where they are wrong."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from elsewhere_world import DAY, MONITOR, ROLES, START, Elsewhere
from penstock.core.errors import ConflictError, InvalidInputError, UnavailableError
from penstock.core.project.types import OutcomesSection
from penstock.monitoring.external.rows import Roles
from penstock.monitoring.monitor import Monitor
from penstock.predictions.types import EntityOutcome

LABELLED = replace(ROLES, label="truth", label_time="known_at")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def with_truth(frame: pl.DataFrame, after: timedelta = DAY) -> pl.DataFrame:
    return frame.with_columns(known_at=pl.col("at") + after)


def test_they_are_watched_as_if_we_had_served_them(elsewhere: Elsewhere) -> None:
    for day in range(4):
        elsewhere.log(with_truth(elsewhere.make(day, 200)), LABELLED)
    assert elsewhere.tick()
    windows = elsewhere.windows()
    assert [(w.start, w.rows, w.outcomes, w.version, w.number) for w in windows] == [
        (START + day * DAY, 200, 200, 1, day + 1) for day in range(3)
    ]
    assert {column.column for column in windows[1].drift} == {"income", "region"}
    found = windows[1].performance
    assert found is not None and found.value is not None and found.low is not None and found.low < 0.9 < 0.95
    assert not elsewhere.tick()


def test_one_that_cannot_be_watched_keeps_the_others_waiting_for_nothing(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.sources.external.declare("arrears", "binary", MONITOR, None)
    for day in range(3):
        elsewhere.log(with_truth(elsewhere.make(day, 50)), LABELLED)
    work = Monitor.tick

    def tick(monitor: Monitor) -> bool:
        if monitor.deployment == "arrears":
            raise UnavailableError("its objects cannot be read")
        return work(monitor)

    monkeypatch.setattr(Monitor, "tick", tick)
    with pytest.raises(UnavailableError, match="cannot be read"):
        elsewhere.tick()
    assert len(elsewhere.windows()) == 2


def test_the_same_file_twice_counts_once_and_labels_may_come_with_the_second_time(elsewhere: Elsewhere) -> None:
    frame = with_truth(elsewhere.make(0, 100))
    first = elsewhere.log(frame.drop("known_at"))
    assert (first.rows, first.new_rows, first.outcomes, first.is_reference) == (100, 100, 0, True)
    again = elsewhere.log(frame, LABELLED)
    assert (again.rows, again.new_rows, again.outcomes, again.is_reference) == (100, 0, 100, False)
    assert elsewhere.log(frame, LABELLED).new_rows == 0
    assert elsewhere.sources.predictions.get_traffic("credit").rows == 100


def test_inputs_that_move_raise_an_alert_about_a_model_we_do_not_serve(elsewhere: Elsewhere) -> None:
    for day in range(6):
        elsewhere.log(elsewhere.make(day, 300, shift=0.0 if day < 3 else 15.0))
        elsewhere.tick()
    (alert,) = elsewhere.alerts()
    assert (alert.kind, alert.window_start) == ("drift", START + 3 * DAY)
    assert "income moved by" in alert.summary


def test_accuracy_that_falls_raises_an_alert(elsewhere: Elsewhere) -> None:
    for day in range(10):
        elsewhere.log(with_truth(elsewhere.make(day, 300, right=0.9 if day < 5 else 0.6)), LABELLED)
    elsewhere.tick()
    assert "performance" in [alert.kind for alert in elsewhere.alerts()]


def test_a_file_may_be_what_they_are_held_against(elsewhere: Elsewhere) -> None:
    past = elsewhere.make(-30, 1000, shift=15.0)
    assert not elsewhere.log(elsewhere.make(0, 300), reference=past).is_reference
    elsewhere.log(elsewhere.make(1, 300))
    elsewhere.tick()
    assert elsewhere.windows()[0].drifted == ["income"]


def test_each_version_has_its_own_reference_and_the_newest_one_is_live(elsewhere: Elsewhere) -> None:
    for day in range(3):
        elsewhere.log(elsewhere.make(day, 200))
    for day in range(3, 6):
        elsewhere.log(elsewhere.make(day, 200, shift=15.0), version=2)
    elsewhere.tick()
    assert [(w.version, w.number, w.drifted) for w in elsewhere.windows()] == [
        (1, 1, []),
        (1, 2, []),
        (1, 3, []),
        (2, 1, []),
        (2, 2, []),
    ]
    assert elsewhere.alerts() == []


def test_an_empty_batch_changes_nothing(elsewhere: Elsewhere) -> None:
    elsewhere.log(elsewhere.make(0, 50))
    elsewhere.log(elsewhere.make(1, 5))
    elsewhere.tick()
    before = elsewhere.windows()
    assert elsewhere.log(elsewhere.make(2, 5).clear()).rows == 0
    assert not elsewhere.tick()
    assert elsewhere.windows() == before


def test_wrong_rows_are_named_and_none_is_taken(elsewhere: Elsewhere) -> None:
    frame = elsewhere.make(0, 20)
    frame[3, "score"], frame[4, "score"], frame[7, "at"] = float("nan"), 3.0, None
    with pytest.raises(InvalidInputError) as caught:
        elsewhere.log(frame)
    assert "3 of 20 rows are wrong" in str(caught.value)
    assert "row 4: the answer is missing" in str(caught.value) and "row 8: 'at' is no time" in str(caught.value)
    assert elsewhere.sources.predictions.list_deployments() == []
    kept = elsewhere.log(frame, skip_wrong=True)
    assert (kept.rows, kept.wrong) == (17, 3)


def test_an_id_that_says_two_things_is_refused_and_one_that_says_the_same_twice_counts_once(
    elsewhere: Elsewhere,
) -> None:
    frame = elsewhere.make(0, 20)
    same = elsewhere.log(pl.concat([frame, frame.head(2)]))
    assert (same.rows, same.repeated) == (20, 2)
    other = pl.concat([frame, frame.head(1).with_columns(score=pl.lit(0.55))])
    with pytest.raises(InvalidInputError, match=r"row 1: another row of the same 'id' says something else; row 21"):
        elsewhere.log(other)


def test_inputs_of_another_type_break_nothing_and_are_told(elsewhere: Elsewhere) -> None:
    elsewhere.log(elsewhere.make(0, 100))
    odd = elsewhere.make(1, 100).with_columns(
        income=pl.lit("high"), region=pl.lit(float("nan")), customer=pl.col("customer")
    )
    elsewhere.log(odd)
    elsewhere.log(elsewhere.make(2, 100).drop("region"))
    elsewhere.log(elsewhere.make(3, 1))
    elsewhere.tick()
    notes = [{column.column: column.note for column in window.drift} for window in elsewhere.windows()]
    assert notes[1]["income"] == "texts, where the reference has numbers"
    assert "the reference lacks: (missing)" in notes[1]["region"]
    assert notes[2]["region"] == "the window has no such column"


def test_one_window_with_inputs_of_two_types_is_still_measured(elsewhere: Elsewhere) -> None:
    elsewhere.log(with_truth(elsewhere.make(0, 100)), LABELLED)
    elsewhere.log(with_truth(elsewhere.make(1, 100)), LABELLED)
    odd = with_truth(elsewhere.make(1.01, 50)).with_columns(income=pl.lit("high"), region=pl.lit(7))
    elsewhere.log(odd, LABELLED)
    elsewhere.log(elsewhere.make(2.5, 1))
    elsewhere.tick()
    window = elsewhere.windows()[1]
    assert (window.rows, window.outcomes) == (150, 150)
    assert window.performance is not None and window.performance.value is not None
    assert "region" in window.drifted


def test_other_labels_than_its_classes_are_wrong(elsewhere: Elsewhere) -> None:
    frame = with_truth(elsewhere.make(0, 20)).with_columns(truth=pl.lit("maybe"))
    with pytest.raises(InvalidInputError, match=r"row 1: 'truth' fits no class"):
        elsewhere.log(frame, LABELLED)


def test_columns_that_are_not_there_are_told_with_the_nearest(elsewhere: Elsewhere) -> None:
    with pytest.raises(InvalidInputError, match=r"there is no column 'scor'.*'score'"):
        elsewhere.log(elsewhere.make(0, 5), replace(ROLES, score="scor"))


def test_a_deployment_keeps_its_task_and_one_that_we_serve_is_none(elsewhere: Elsewhere) -> None:
    with pytest.raises(ConflictError, match="is of the task 'binary'"):
        elsewhere.sources.external.declare("credit", "regression")
    with pytest.raises(InvalidInputError, match="is no metric of a regression task"):
        elsewhere.sources.external.declare("price", "regression", MONITOR)


def test_lengths_of_time_that_no_calendar_holds_are_refused(elsewhere: Elsewhere) -> None:
    with pytest.raises(InvalidInputError, match="from a second to ten years"):
        elsewhere.sources.external.declare("credit", "binary", replace(MONITOR, window=timedelta(days=999_999)))
    with pytest.raises(InvalidInputError, match="from a second to ten years"):
        elsewhere.sources.external.declare("credit", "binary", outcomes=OutcomesSection(horizon=timedelta(0)))


def test_numbers_and_classes_of_several_kinds_are_watched(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    roles = Roles(time="at", prediction="price", label="paid")
    from penstock.core.project.types import MonitorSection, PerformanceSection
    from penstock.monitoring.external.ingest import log_rows

    monitor = MonitorSection(window=DAY, performance=PerformanceSection(metric="mae"))
    for day in range(3):
        frame = elsewhere.make(day, 60).select("at", "income", price=pl.col("income") + 1.0, paid=pl.col("income"))
        log_rows(elsewhere.sources, "price", frame, roles, task="regression", monitor=monitor)
        many = elsewhere.make(day, 60).select("at", "income", price=pl.col("region"), paid=pl.col("region"))
        log_rows(elsewhere.sources, "kind", many, roles, task="multiclass")
    elsewhere.tick()
    found = elsewhere.sources.monitoring.list_windows("price")[0].performance
    assert found is not None and found.value == pytest.approx(1.0)
    found = elsewhere.sources.monitoring.list_windows("kind")[0].performance
    assert found is not None and found.value == pytest.approx(1.0)


def test_outcomes_come_later_by_the_id_that_the_rows_were_logged_with(elsewhere: Elsewhere) -> None:
    frame = elsewhere.make(0, 100)
    first = frame.select("id", "truth", "at").row(0)
    elsewhere.sources.predictions.add_entity_outcomes(
        "credit", [EntityOutcome(entity=first[0], value=first[1], at=first[2] + DAY)]
    )  # before its prediction
    elsewhere.log(frame)
    elsewhere.log(elsewhere.make(1, 5))
    elsewhere.tick()
    assert elsewhere.windows()[0].outcomes == 1
    added = elsewhere.answer(frame)
    assert (added.accepted, added.repeated) == (99, 1)
    elsewhere.tick()
    assert (elsewhere.windows()[0].outcomes, elsewhere.windows()[0].edition) == (100, 2)

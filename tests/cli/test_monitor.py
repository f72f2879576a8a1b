"""`penstock monitor`: with and without a name of its commands, and false alarms measured."""

from pathlib import Path

import pytest

from penstock.cli.monitor.windows import tell_log
from penstock.predictions.types import Traffic


def test_the_windows_are_shown_where_no_command_is_named(project: Path, penstock) -> None:
    assert penstock("monitor").out == penstock("monitor", "windows").out
    assert penstock("monitor", "--json").json["windows"] == []
    assert "the prediction log holds 0 predictions in 0 segments" in penstock("monitor").out
    assert penstock("monitor", "--json").json["log"]["without_inputs"] == 0
    assert "calibrate" in penstock("monitor", "--help").out


def test_segments_without_inputs_are_told() -> None:
    log = Traffic(
        deployment="shop", segments=12, without_inputs=5, rows=1200, errors=0, fallbacks=0, latency_p50_ms=None,
        latency_p99_ms=None, outcomes=0, watermark=None, revisions=[],
    )  # fmt: skip
    assert tell_log(log) == "the prediction log holds 1,200 predictions in 12 segments, 5 of them without inputs"


def test_without_a_live_version_there_is_nothing_to_calibrate(project: Path, penstock) -> None:
    said = penstock("monitor", "calibrate")
    assert said.code == 1
    assert "project 'churned' has no live version" in said.err


@pytest.mark.slow
def test_false_alarms_are_measured_beside_the_budget(project: Path, penstock) -> None:
    assert penstock("run").code == 0
    words = ("monitor", "calibrate", "--replays", "3", "--windows", "17", "--rows", "40")
    said = penstock(*words)
    assert said.code == 0, said.err
    assert "1 false alarm in 90 days is the budget" in said.out
    assert "within" in said.out
    (found,) = penstock(*words, "--json").json["calibrations"]
    assert (found["watch"], found["replays"], found["windows"], found["window_rows"]) == ("inputs", 3, 17, 40)
    assert found == penstock(*words, "--json").json["calibrations"][0]

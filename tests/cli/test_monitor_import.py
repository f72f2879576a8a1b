"""Models that are served elsewhere, from the command line: import, outcomes, windows, label delay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cli.conftest import Penstock

START = datetime(2025, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)
ROLES = ("--score", "score", "--time", "at", "--id", "loan")


def make(day: int, count: int = 200) -> pl.DataFrame:
    chance = np.random.default_rng(day)
    bad = (chance.random(count) < 0.3).astype(int)
    right = chance.random(count) < 0.9
    return pl.DataFrame(
        {
            "loan": [f"{day}-{number}" for number in range(count)],
            "at": [START + day * DAY + DAY * (number / count) for number in range(count)],
            "income": chance.normal(50, 10, count),
            "score": np.where(right, bad, 1 - bad) * 0.6 + 0.2,
            "bad": bad,
        }
    )


@pytest.fixture
def days(nowhere: Path) -> list[Path]:
    """A file for each of four days, and one with what became of them."""
    made = [make(day) for day in range(4)]
    for day, frame in enumerate(made):
        frame.drop("bad").write_csv(nowhere / f"{day}.csv")
    known = pl.concat(made).select(entity="loan", value="bad", at=pl.col("at") + DAY / 2)
    known.write_parquet(nowhere / "known.parquet")
    return [nowhere / f"{day}.csv" for day in range(4)]


def test_files_are_imported_once_watched_and_measured_as_outcomes_come(penstock: Penstock, days: list[Path]) -> None:
    first = penstock("monitor", "import", "loans", *map(str, days), "--task", "binary", "--metric", "accuracy", *ROLES)
    assert first.code == 0, first.err
    assert "0.csv: 200 new predictions; these rows are what later ones are held against" in first.out
    again = penstock("monitor", "import", "loans", *map(str, days), *ROLES, "--json")
    assert [each["new_rows"] for each in again.json] == [0, 0, 0, 0]
    young = penstock("monitor", "loans")
    assert young.out.count("0 (0%, young)") == 3
    added = penstock("outcomes", "add", "known.parquet", "--deployment", "loans")
    assert added.out.startswith("800 outcomes added; 0 known before")
    assert (
        "0 outcomes added; 800 known before"
        in penstock("outcomes", "add", "known.parquet", "--deployment", "loans").out
    )
    assert penstock("monitor", "loans").out.count("200 (100%)") == 3
    windows = penstock("monitor", "windows", "loans", "--json").json["windows"]
    assert all(window["maturity"]["matured"] and window["performance"]["value"] > 0.8 for window in windows)
    delay = penstock("outcomes", "delay", "loans")
    assert "12 h" in delay.out or "12.9 h" in delay.out or "100%" in delay.out


def test_wrong_rows_are_named_and_may_be_left_out(penstock: Penstock, nowhere: Path) -> None:
    frame = make(0, 10)
    frame[2, "score"] = 7.0
    frame.write_parquet("day.parquet")
    call = ("monitor", "import", "loans", "day.parquet", "--task", "binary", *ROLES)
    refused = penstock(*call)
    assert refused.code != 0 and "1 of 10 rows are wrong, and none was taken: row 3" in refused.err
    assert "9 new predictions" in penstock(*call, "--skip-wrong").out


def test_an_empty_file_changes_nothing(penstock: Penstock, nowhere: Path) -> None:
    make(0, 10).clear().write_parquet("none.parquet")
    done = penstock("monitor", "import", "loans", "none.parquet", "--task", "binary", *ROLES)
    assert (done.code, done.out.strip()) == (0, "none.parquet has no rows; nothing was changed")


def test_the_task_is_asked_for_the_first_time(penstock: Penstock, nowhere: Path) -> None:
    make(0, 10).write_parquet("day.parquet")
    assert "give its task" in penstock("monitor", "import", "loans", "day.parquet", *ROLES).err
    assert (
        "did you mean 'binary'" in penstock("monitor", "import", "loans", "day.parquet", "--task", "binry", *ROLES).err
    )


def test_outcomes_that_say_nothing_are_named_by_their_row(penstock: Penstock, nowhere: Path) -> None:
    pl.DataFrame({"entity": ["a", "", "c"], "value": [1, 0, None], "at": ["2025-03-03T10:00:00Z"] * 3}).write_csv(
        "o.csv"
    )
    told = penstock("outcomes", "add", "o.csv", "--deployment", "loans").err
    assert "2 of 3 rows are wrong" in told and "row 2: 'entity' is empty; row 3: 'value' is empty" in told
    Path("o.jsonl").write_text('{"entity": "a", "value": 1}\n{"value": 1}\n')
    assert "line 2 of o.jsonl has to name one of" in penstock("outcomes", "add", "o.jsonl").err

"""`penstock.monitor` in this process: rows in any form, how they are watched, and what became of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import penstock
from elsewhere_world import Elsewhere
from penstock.core.errors import InvalidInputError
from penstock.predictions.types import OutcomesAdded

CALL: dict[str, Any] = {"task": "binary", "score": "score", "time": "at", "id": "id"}


@pytest.fixture
def frame(tmp_path: Path) -> pl.DataFrame:
    return Elsewhere(tmp_path).make(0, 40)


@pytest.fixture
def services(tmp_path: Path) -> Any:
    folder = tmp_path / "project"
    folder.mkdir()
    opened = penstock.connect(folder)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "form",
    [
        lambda frame: frame,
        lambda frame: frame.lazy(),
        lambda frame: frame.to_dict(as_series=False),
        pl.DataFrame.to_arrow,
    ],
    ids=["polars", "lazy", "mapping", "arrow"],
)
def test_rows_may_come_in_any_form_and_are_the_same_rows(
    frame: pl.DataFrame, services: Any, form: Callable[[pl.DataFrame], Any]
) -> None:
    frame = frame.drop("truth")
    assert penstock.monitor.log(form(frame), "credit", services=services, **CALL).new_rows == 40
    assert penstock.monitor.log(frame, "credit", services=services, **CALL).new_rows == 0


def test_what_is_no_table_is_refused(services: Any) -> None:
    with pytest.raises(InvalidInputError, match="int is no table"):
        penstock.monitor.log(3, "credit", services=services, **CALL)
    with pytest.raises(InvalidInputError, match="the rows are no table"):
        penstock.monitor.log({"a": [1, 2], "b": [1]}, "credit", services=services, **CALL)


def test_a_bar_needs_its_metric_and_a_window_is_a_length(services: Any) -> None:
    with pytest.raises(InvalidInputError, match="a bar needs to know its metric"):
        penstock.monitor.watch("credit", "binary", at_least=0.5, services=services)
    with pytest.raises(InvalidInputError, match="soon"):
        penstock.monitor.watch("credit", "binary", window="soon", services=services)


def test_outcomes_flow_through_the_same_door(frame: pl.DataFrame, services: Any) -> None:
    penstock.monitor.watch("credit", "binary", metric="accuracy", services=services)
    penstock.monitor.log(frame.drop("truth"), "credit", services=services, **CALL)
    later = frame.with_columns(at=pl.col("at") + pl.duration(days=1), id=pl.format("n{}", "id"))
    penstock.monitor.log(later.drop("truth"), "credit", services=services, **CALL)
    sent = penstock.monitor.outcomes(frame, "credit", entity="id", value="truth", time="at", services=services)
    assert sent == OutcomesAdded(accepted=40, repeated=0)
    (window,) = services.monitoring.list_windows("credit")
    assert (window.rows, window.outcomes, window.is_comparable) == (40, 40, True)

import numpy as np
import polars as pl
import pytest

from penstock.core.errors import InvalidInputError
from penstock.loop.replay.history import Setup, read_history


def table(rows: int = 400) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "at": [f"2026-01-{1 + row % 28:02d}" for row in range(rows)],
            "size": [float(row) if row % 7 else None for row in range(rows)],
            "town": ["b", "a", None, "c"] * (rows // 4),
            "sick": [row % 2 == 1 for row in range(rows)],
        }
    )


def test_rows_become_numbers_and_codes_as_the_warm_up_brings_them() -> None:
    history = read_history(table(), Setup(label="sick", drop=("at",)))
    assert history.names == ("size", "town")
    assert history.is_category == (False, True)
    assert history.features[:3, 1].tolist()[:2] == [0.0, 1.0]
    assert np.isnan(history.features[2, 1])
    assert history.features[0, 0] == 0.0  # one below the smallest of the warm-up
    assert (history.task, history.classes, history.labels[:4].tolist()) == ("binary", ("False", "True"), [0, 1, 0, 1])
    assert (history.warmup, history.chunk, history.chunks) == (40, 25, 15)
    assert history.missing[:, 0].sum() == 58


def test_a_value_that_comes_later_is_unknown() -> None:
    frame = table().with_columns(town=pl.Series(["a"] * 399 + ["new"]))
    assert np.isnan(read_history(frame, Setup(label="sick", drop=("at",))).features[-1, 1])


def test_rows_are_put_in_order_by_time_which_is_no_feature() -> None:
    history = read_history(table(), Setup(label="sick", time="at"))
    assert history.names == ("size", "town")
    assert history.labels[:15].tolist() == [0] * 15  # the first of January: rows 0, 28, 56 ...


def test_outcomes_are_known_as_late_as_is_said() -> None:
    history = read_history(table(), Setup(label="sick", drop=("at",), delay=2))
    assert [history.known(chunk) for chunk in (0, 1, 2, 3, 15)] == [40, 40, 40, 65, 365]
    assert history.start(15) == len(history) == 400


def test_a_number_with_many_values_is_a_regression() -> None:
    history = read_history(table().with_columns(size=pl.int_range(400) * 1.5), Setup(label="size", drop=("at",)))
    assert (history.task, history.classes) == ("regression", ())


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (Setup(label="sic"), "no column 'sic'"),
        (Setup(label="sick", time="when"), "no column 'when'"),
        (Setup(label="sick", chunks=0), "0 chunks"),
        (Setup(label="sick", warmup=1.5), "warm-up of 1.5"),
        (Setup(label="sick", delay=-1), "-1 chunks late"),
        (Setup(label="sick", warmup=0.01), "leave 4 to warm up on"),
        (Setup(label="sick", drop=("at", "size", "town")), "no column is left"),
        (Setup(label="town", task="binary"), "3 different value"),
        (Setup(label="town", task="regression"), "takes numbers"),
    ],
)
def test_what_cannot_be_replayed_is_refused(setup: Setup, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_history(table(), setup)

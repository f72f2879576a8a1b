"""Columns inferred from a sample and checked on every call."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from penstock.core.errors import InvalidInputError
from penstock.registry.format.signature import cast, infer_columns
from penstock.registry.format.signature_file import to_mlflow
from penstock.registry.format.types import Column

SAMPLE = pl.DataFrame(
    {
        "age": [31, 40],
        "income": [1.5, float("nan")],
        "member": [True, False],
        "city": ["Bern", None],
        "plan": pl.Series(["a", "b"], dtype=pl.Categorical),
        "seen": [datetime(2026, 1, 1, 12), datetime(2026, 1, 2)],
        "born": [date(1990, 1, 1), date(1991, 1, 1)],
    }
)


def test_types_and_missing_values_are_read_from_the_sample() -> None:
    assert infer_columns(SAMPLE) == (
        Column("age", "long"),
        Column("income", "double", required=False),
        Column("member", "boolean"),
        Column("city", "string", required=False),
        Column("plan", "category"),
        Column("seen", "datetime"),
        Column("born", "date"),
    )


def test_a_column_no_model_can_take_is_named() -> None:
    with pytest.raises(InvalidInputError, match="place") as refusal:
        infer_columns(pl.DataFrame({"place": [{"x": 1}]}))
    assert refusal.value.field == "place"


def test_mlflow_reads_the_columns_in_its_own_types() -> None:
    columns = (Column("born", "date"), Column("plan", "category", required=False), Column("scores", "double[]"))
    assert to_mlflow(columns) == [
        {"type": "datetime", "name": "born", "required": True},
        {"type": "string", "name": "plan", "required": False},
        {"type": "array", "items": {"type": "double"}, "name": "scores", "required": True},
    ]


def test_a_request_as_json_brings_it_becomes_the_frame_the_model_wants() -> None:
    request = pl.DataFrame(
        {
            "extra": ["x"],
            "born": ["1990-01-01"],
            "seen": ["2026-01-01T12:00:00+01:00"],
            "plan": ["c"],
            "member": [True],
            "income": [3],
            "age": [31.0],
        }
    )
    frame = cast(request, infer_columns(SAMPLE))
    assert frame.columns == SAMPLE.columns
    assert frame.row(0) == (31, 3.0, True, None, "c", datetime(2026, 1, 1, 11, tzinfo=UTC), date(1990, 1, 1))


def test_a_time_without_a_zone_is_utc() -> None:
    column = (Column("seen", "datetime"),)
    for given in (["2026-01-01T12:00:00"], ["2026-01-01T12:00:00Z"], [datetime(2026, 1, 1, 12)]):
        assert cast(pl.DataFrame({"seen": given}), column)["seen"][0] == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        (Column("x", "long"), [1, 2.5], 1),
        (Column("x", "long"), ["1"], 0),
        (Column("x", "long"), [True], 0),
        (Column("x", "long"), [1e300], 0),
        (Column("x", "double"), ["1.0"], 0),
        (Column("x", "double"), [True], 0),
        (Column("x", "boolean"), [1], 0),
        (Column("x", "string"), [1], 0),
        (Column("x", "datetime"), ["2026-01-01T00:00:00", "yesterday"], 1),
        (Column("x", "date"), ["2026-13-01"], 0),
        (Column("x", "double"), [[1.0]], 0),
        (Column("x", "double"), [1.0, None], 1),
        (Column("x", "double"), [1.0, float("nan")], 1),
    ],
)
def test_a_value_of_another_type_is_named_by_row_and_column(column: Column, values: list[object], row: int) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        cast(pl.DataFrame({"x": values}, strict=False), (column,))
    assert refusal.value.field == f"rows[{row}].x"


def test_a_missing_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(InvalidInputError, match="'agee'; did you mean") as refusal:
        cast(pl.DataFrame({"agee": [1]}), (Column("age", "long"),))
    assert refusal.value.field == "age"


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no rows"):
        cast(pl.DataFrame({"age": []}), (Column("age", "long"),))

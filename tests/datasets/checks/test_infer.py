"""Checks inferred from a version hold for that version, and notice what is unlike it."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.ids import Digest
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets.checks import run_checks
from penstock.datasets.checks.infer import infer_checks
from penstock.datasets.frames.table import table_of
from penstock.datasets.profile import profile_frame

GOOD = pl.DataFrame(
    {
        "id": range(200),
        "age": [18 + n % 60 for n in range(200)],
        "plan": ["free", "pro"] * 100,
        "debt": [None, *[-5.5 - n for n in range(199)]],
        "note": [None] * 100 + [f"text {n}" for n in range(100)],
    }
)


def rules(frame: pl.DataFrame, declared: tuple[CheckSection, ...] = ()) -> list[dict[str, Any]]:
    default = CheckSection()
    return [
        {
            name: getattr(check, name)
            for name in check.__struct_fields__
            if getattr(check, name) != getattr(default, name)
        }
        for check in infer_checks(profile_frame(frame), declared)
    ]


def test_a_version_says_what_the_next_must_be_like() -> None:
    assert rules(GOOD)[:-1] == [
        {"column": "id", "type": "integer", "not_null": True, "unique": True},
        {"column": "age", "type": "integer", "not_null": True, "between": (0, 140)},
        {"column": "plan", "type": "text", "not_null": True, "allowed": ("free", "pro")},
        {"column": "debt", "type": "number", "between": (-410.0, 0.0)},
        {"column": "debt", "not_null": True, "tolerance": 0.01},
        {"column": "note", "type": "text"},
    ]


def test_what_is_declared_is_not_inferred_again() -> None:
    declared = (CheckSection(column="age", between=(18, 99)), CheckSection(column="plan", allowed=("free",)))
    found = rules(GOOD, declared)
    assert {"column": "age", "type": "integer", "not_null": True} in found
    assert {"column": "plan", "type": "text", "not_null": True} in found
    assert infer_checks(profile_frame(GOOD), infer_checks(profile_frame(GOOD))) == []


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-1e9, 1e9)), st.integers(-(2**40), 2**40), st.sampled_from(["a", "b"])
        ),
        min_size=1,
        max_size=80,
    )
)
def test_the_version_itself_passes(rows: list[tuple[float | None, int, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"x": pl.Float64, "n": pl.Int64, "t": pl.String}, orient="row")
    section = DataSection(source="s", checks=tuple(infer_checks(profile_frame(frame))))
    report = run_checks(table_of(frame, "a"), section, tree=Digest("0" * 64), now=datetime.now(UTC)).report
    assert not report.failures


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (pl.lit(1).alias("id"), "id unique"),
        (pl.lit(-1).alias("age"), "age between"),
        (pl.lit("gold").alias("plan"), "plan allowed"),
        (pl.lit(None, dtype=pl.Float64).alias("debt"), "debt not_null"),
        (pl.lit("old").alias("age"), "age type"),
    ],
)
def test_what_is_unlike_the_version_is_noticed(change: pl.Expr, name: str) -> None:
    section = DataSection(source="s", checks=tuple(infer_checks(profile_frame(GOOD))))
    table = table_of(GOOD.with_columns(change), "a")
    report = run_checks(table, section, tree=Digest("0" * 64), now=datetime.now(UTC)).report
    assert name in [result.name for result in report.failures]

"""Which prediction an entity's outcome belongs to."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from penstock.predictions.entities import ENTITY_SCHEMA, add_matches, match_entities
from penstock.predictions.types import RecordedEntityOutcome

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def predictions(*rows: tuple[str, int, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(name, START + hour * HOUR, entity) for name, hour, entity in rows], schema=ENTITY_SCHEMA, orient="row"
    )


def outcome(entity: str, hour: int, value: Any = 1) -> RecordedEntityOutcome:
    return RecordedEntityOutcome(deployment="d", entity=entity, value=value, at=START + hour * HOUR, number=1)


def match(
    held: pl.DataFrame, *outcomes: RecordedEntityOutcome, join: Literal["last", "all"] = "last", horizon: int = 10
) -> dict[str, str]:
    found = match_entities(held, outcomes, horizon=horizon * HOUR, join=join)
    return dict(found.select("id", "outcome").iter_rows())


def test_the_last_prediction_before_it_has_it() -> None:
    held = predictions(("p1", 0, "anna"), ("p2", 2, "anna"), ("p3", 4, "anna"), ("q", 2, "ben"))
    assert match(held, outcome("anna", 3)) == {"p2": "1"}
    assert match(held, outcome("anna", 4)) == {"p3": "1"}
    assert match(held, outcome("carl", 4)) == {}


def test_all_predictions_within_the_horizon_have_it_where_that_is_asked_for() -> None:
    held = predictions(("p1", 0, "anna"), ("p2", 2, "anna"), ("p3", 9, "anna"))
    assert match(held, outcome("anna", 8), join="all", horizon=6) == {"p2": "1"}
    assert match(held, outcome("anna", 8), join="all") == {"p1": "1", "p2": "1"}


def test_one_before_or_long_after_its_predictions_belongs_to_none() -> None:
    held = predictions(("p1", 5, "anna"))
    assert match(held, outcome("anna", 4)) == {}
    assert match(held, outcome("anna", 16)) == {}
    assert match(held, outcome("anna", 15)) == {"p1": "1"}


def test_of_several_the_one_that_happened_last_counts() -> None:
    held = predictions(("p1", 0, "anna"))
    assert match(held, outcome("anna", 2, 0), outcome("anna", 3, 1), outcome("anna", 1, 0)) == {"p1": "1"}


def test_a_copy_has_what_the_answered_prediction_has_and_the_later_of_both_forms_counts() -> None:
    rows = pl.DataFrame(
        {
            "id": ["p1", "c1", "p2", "p3"],
            "answered": [None, "p1", None, None],
            "outcome": [None, None, "0", "0"],
            "outcome_at": [None, None, START, START + 9 * HOUR],
        },
        schema_overrides={"outcome_at": pl.Datetime("us", "UTC"), "outcome": pl.String},
    )
    matched = pl.DataFrame(
        {"id": ["p1", "p2", "p3"], "outcome": ["1"] * 3, "outcome_at": [START + HOUR] * 3},
        schema_overrides={"outcome_at": pl.Datetime("us", "UTC")},
    )
    assert add_matches(rows, matched)["outcome"].to_list() == ["1", "1", "1", "0"]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ab")), max_size=12),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.integers(0, 1)), max_size=8),
    st.randoms(),
)
def test_it_is_what_a_plain_search_finds_in_any_order(
    made: list[tuple[int, str]], came: list[tuple[int, str, int]], chance: Any
) -> None:
    rows = [(f"p{number}", hour, entity) for number, (hour, entity) in enumerate(made)]
    outcomes = [outcome(entity, hour, value) for hour, entity, value in came]
    expected: dict[str, tuple[int, str]] = {}
    for hour, entity, value in came:
        own = [(at, name) for name, at, whose in rows if whose == entity and at <= hour]
        if own and hour - max(own)[0] <= 10:
            name = max(own)[1]
            expected[name] = max(expected.get(name, (-1, "")), (hour, str(value)))
    chance.shuffle(rows)
    chance.shuffle(outcomes)
    assert match(predictions(*rows), *outcomes) == {name: text for name, (_, text) in expected.items()}

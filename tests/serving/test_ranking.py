"""What is shown of a list of items: exclusions, filters, business rules; and which rules changed it."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import AtMostPerSection, RulesSection
from penstock.serving.ranking import ItemTable, check_rules, rank

ITEMS = [f"i{number}" for number in range(8)]
SCORES = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
TABLE = ItemTable(
    pl.DataFrame(
        {
            "item": ITEMS,
            "category": ["books", "books", "games", "books", "games", "toys", "books", None],
            "price": [5, 50, 15, 20, 8, 30, 12, 1],
            "new": [True, False] * 4,
        }
    )
)


def show(rules: RulesSection | None = None, **asked: Any) -> list[str]:
    return rank(ITEMS, SCORES, TABLE, rules or RulesSection(), **asked).items


def test_a_list_is_cut_to_what_was_asked_for() -> None:
    found = rank(ITEMS, SCORES, None, k=3, exclude={"i1"})
    assert (found.items, found.scores, found.rules) == (["i0", "i2", "i3"], [8.0, 6.0, 5.0], ())


@pytest.mark.parametrize(
    ("condition", "items"),
    [
        ({"category": "books"}, ["i0", "i1", "i3", "i6"]),
        ({"category": ["games", "toys"]}, ["i2", "i4", "i5"]),
        ({"category": "books", "price": {"at_most": 20}}, ["i0", "i3", "i6"]),
        ({"price": {"above": 8, "below": 20}}, ["i2", "i6"]),
        ({"price": {"at_least": 50}, "new": False}, ["i1"]),
        ({"category": "cars"}, []),
    ],
)
def test_items_are_filtered_by_their_columns(condition: dict[str, Any], items: list[str]) -> None:
    assert show(condition=condition) == items


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"categry": "books"}, "filter.categry: the table of items has no column 'categry'"),
        ({"price": {"atmost": 3}}, "the bounds of 'price' are some of at_least, at_most, above, below"),
        ({"price": {}}, "the bounds of 'price'"),
        ({"price": []}, "the values of 'price'"),
        ({"price": None}, "'price' is compared with"),
        ({"price": [[1]]}, "the values of 'price'"),
        ({}, "a condition names columns"),
        ({"price": "cheap"}, "do not fit"),
        ({"category": {"at_least": 3}}, "do not fit"),
    ],
)
def test_a_filter_that_cannot_be_asked_is_refused(condition: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        show(condition=condition)


def test_without_a_table_nothing_can_be_filtered() -> None:
    with pytest.raises(InvalidInputError, match="no table of items"):
        rank(ITEMS, SCORES, None, condition={"price": 3})


@pytest.mark.parametrize(
    ("rules", "items", "changed"),
    [
        (RulesSection(pin=("i7", "x")), ["i7", "x", "i0", "i1"], ("pin",)),
        (RulesSection(pin=("i0",)), ["i0", "i1", "i2", "i3"], ()),
        (RulesSection(block=("i0", "i2")), ["i1", "i3", "i4", "i5"], ("block",)),
        (RulesSection(block=({"category": "books"},)), ["i2", "i4", "i5", "i7"], ("block",)),
        (RulesSection(block=("i7",)), ["i0", "i1", "i2", "i3"], ()),
        (RulesSection(bury=("i0", {"price": {"at_least": 50}})), ["i2", "i3", "i4", "i5"], ("bury",)),
        (RulesSection(pin=("i7",), block=("i7", "i0")), ["i1", "i2", "i3", "i4"], ("block",)),
        (
            RulesSection(at_most_per=AtMostPerSection(column="category", count=1)),
            ["i0", "i2", "i5", "i7"],
            ("at_most_per",),
        ),
        (
            RulesSection(pin=("i6",), at_most_per=AtMostPerSection(column="category", count=1)),
            ["i6", "i2", "i5", "i7"],
            ("pin", "at_most_per"),
        ),
    ],
)
def test_rules_change_the_list_and_say_so(rules: RulesSection, items: list[str], changed: tuple[str, ...]) -> None:
    found = rank(ITEMS, SCORES, TABLE, rules, k=4)
    assert (found.items, found.rules) == (items, changed)
    assert found.scores == [dict(zip(ITEMS, SCORES, strict=True)).get(item) for item in items]


def test_what_the_caller_excludes_is_not_pinned() -> None:
    assert show(RulesSection(pin=("i7", "i6")), exclude={"i7"}, k=2) == ["i6", "i0"]
    assert show(RulesSection(pin=("i2", "i6")), condition={"category": "books"}, k=2) == ["i6", "i0"]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (RulesSection(block=({"brand": "x"},)), "rules.block.brand: the table of items has no column 'brand'"),
        (RulesSection(at_most_per=AtMostPerSection(column="brand", count=1)), "no column 'brand'"),
    ],
)
def test_rules_that_cannot_be_applied_are_named(rules: RulesSection, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        check_rules(rules, TABLE)
    with pytest.raises(InvalidInputError, match="no table of items"):
        check_rules(rules, None)
    assert rank(ITEMS, SCORES, None, rules, k=2).items == ["i0", "i1"]


@given(
    pin=st.lists(st.sampled_from(ITEMS), unique=True, max_size=3),
    bury=st.lists(st.sampled_from(ITEMS), max_size=3),
    block=st.lists(st.sampled_from(ITEMS), max_size=3),
    count=st.integers(1, 3),
    k=st.integers(1, 10),
    exclude=st.sets(st.sampled_from(ITEMS), max_size=3),
)
def test_a_list_never_shows_what_it_must_not(
    pin: list[str], bury: list[str], block: list[str], count: int, k: int, exclude: set[str]
) -> None:
    rules = RulesSection(
        pin=tuple(pin),
        bury=tuple(bury),
        block=tuple(block),
        at_most_per=AtMostPerSection(column="category", count=count),
    )
    found = show(rules, k=k, exclude=exclude)
    assert len(found) == len(set(found)) <= k
    assert not set(found) & (set(block) | exclude)
    pinned = [item for item in pin if item not in block and item not in exclude][:k]
    assert found[: len(pinned)] == pinned
    books = [item for item in found[len(pinned) :] if TABLE.values("category")[item] == "books"]
    assert len(books) <= count

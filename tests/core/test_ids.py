"""Ids sort by time, names are safe to use anywhere, and a ref reads back what it wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Ref, check_name, new_id


@given(st.integers(0, 2**48 - 2), st.integers(1, 1000))
def test_a_later_id_sorts_after_an_earlier_one(milliseconds: int, wait: int) -> None:
    later = min(milliseconds + wait, 2**48 - 1)
    assert new_id(milliseconds) < new_id(later)


def test_ids_of_the_same_moment_differ() -> None:
    assert len({new_id(0) for _ in range(1000)}) == 1000


def test_an_id_may_name_a_thing() -> None:
    name = new_id()
    assert check_name(name, "run") == name
    assert len(name) == 26


@pytest.mark.parametrize("name", ["a", "churn", "Churn_v2.1-b", "7", "a" * 128])
def test_plain_names_are_taken(name: str) -> None:
    assert check_name(name, "model") == name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "-rf", "a\n", "é", "a" * 129, "a:", "x."])
def test_names_that_could_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot name a model") as refusal:
        check_name(name, "model")
    assert refusal.value.field == "name"


@given(st.from_regex(r"[a-z-]+", fullmatch=True), st.text(min_size=1))
def test_a_ref_reads_back_what_it_wrote(kind: str, name: str) -> None:
    assert Ref.parse(str(Ref(kind, name))) == Ref(kind, name)


@pytest.mark.parametrize("text", ["", "run", "run:", ":x"])
def test_what_is_no_ref_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInputError, match="kind:id"):
        Ref.parse(text)

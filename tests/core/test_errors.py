"""Errors carry a code, a status and the way out, and survive a trip over HTTP."""

import inspect

import pytest

from penstock.core import errors
from penstock.core.errors import ERRORS, InvalidInputError, NotFoundError, PenstockError, error_from_code

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PenstockError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_can_be_told_by_its_code(kind: type[PenstockError]) -> None:
    assert ERRORS[kind.code] is kind


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_as_it_was_sent(kind: type[PenstockError]) -> None:
    again = error_from_code(kind.code, "no room", hint="make some")
    assert type(again) is kind
    assert (again.message, again.hint) == ("no room", "make some")


def test_an_unknown_code_becomes_the_general_error() -> None:
    assert type(error_from_code("FROM_THE_FUTURE", "hm")) is PenstockError


def test_a_message_ends_with_the_way_out() -> None:
    assert str(NotFoundError("no model 'churn'", hint="see 'penstock models list'")) == (
        "no model 'churn'; see 'penstock models list'"
    )


def test_without_a_hint_the_message_stands_alone() -> None:
    assert str(InvalidInputError("too long", field="name")) == "too long"

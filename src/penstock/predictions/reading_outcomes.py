"""Outcomes as callers send them: each row checked, all that is wrong told at once, and which of several counts."""

import math
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.predictions.event_time import read_event_time
from penstock.predictions.types import EntityOutcome, Outcome

MAXIMUM_ID = 80
MAXIMUM_ENTITY = 256
TOLD = 5  # wrong rows that a message names

Item = TypeVar("Item", Outcome, EntityOutcome)
K = TypeVar("K", bound=Hashable)


def read_outcomes(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Outcomes by prediction id, with their times in UTC.

    Raises:
        InvalidInputError: some rows are wrong; they are named.
    """
    return _read_all(outcomes, _read_outcome)


def read_entity_outcomes(outcomes: Iterable[EntityOutcome]) -> list[EntityOutcome]:
    """Outcomes by entity, with their times in UTC.

    Raises:
        InvalidInputError: some rows are wrong; they are named.
    """
    return _read_all(outcomes, _read_entity_outcome)


def pick_newest(items: Iterable[Item], *, key: Callable[[Item], K]) -> tuple[dict[K, Item], int]:
    """The outcome that counts under each key, and how many others say something else of the same moment."""
    newest: dict[K, Item] = {}
    clashes = 0
    for item in items:
        before = newest.get(key(item))
        clashes += before is not None and is_clash(item, before.at, before.value)
        if before is None or rank(item) > rank(before):
            newest[key(item)] = item
    return newest, clashes


def rank(item: Outcome | EntityOutcome) -> tuple[datetime, str]:
    """Of two outcomes the one with the higher rank counts: the later one, and then by their text."""
    return rank_of(item.at, item.value)


def rank_of(at: datetime, value: Any) -> tuple[datetime, str]:
    """The rank of what is kept."""
    return at, codec.encode_text(value)


def is_clash(item: Outcome | EntityOutcome, at: datetime, value: Any) -> bool:
    """Whether two outcomes say different things of the same moment."""
    return item.at == at and codec.encode_text(item.value) != codec.encode_text(value)


def _read_all(items: Iterable[Item], read: Callable[[Item, str], Item]) -> list[Item]:
    found: list[Item] = []
    wrong: list[InvalidInputError] = []
    for index, item in enumerate(items):
        try:
            found.append(read(item, f"outcomes[{index}]"))
        except InvalidInputError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        told = "; ".join(f"{error.field}: {error.message}" for error in wrong[:TOLD])
        more = f"; and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
        raise InvalidInputError(
            f"{len(wrong)} outcomes are wrong, and none was taken: {told}{more}",
            hint=wrong[0].hint,
            field=wrong[0].field,
        )
    return found


def _read_outcome(item: Outcome, place: str) -> Outcome:
    key = item.prediction_id
    if not (0 < len(key) <= MAXIMUM_ID and key.isascii() and key.isprintable()):
        raise InvalidInputError(
            f"{key!r} is no prediction id",
            hint="use the id that came with the answer",
            field=f"{place}.prediction_id",
        )
    return _read(item, place)


def _read_entity_outcome(item: EntityOutcome, place: str) -> EntityOutcome:
    if not (0 < len(item.entity) <= MAXIMUM_ENTITY and item.entity.isprintable()):
        raise InvalidInputError(
            f"{item.entity[:40]!r} names no entity",
            hint=f"use the key that the predictions were asked with: 1 to {MAXIMUM_ENTITY} characters",
            field=f"{place}.entity",
        )
    return _read(item, place)


def _read(item: Item, place: str) -> Item:
    if item.value is None:
        raise InvalidInputError("an outcome without a value tells nothing", field=f"{place}.value")
    if isinstance(item.value, float) and not math.isfinite(item.value):
        raise InvalidInputError(f"{item.value} is no outcome", hint="leave the row out", field=f"{place}.value")
    return msgspec.structs.replace(item, at=read_event_time(item.at, f"{place}.at"))

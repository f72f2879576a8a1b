"""Pieces of SQL with their values. Both databases run the same text, and it is written by hand: a search makes several
statements whose plans matter, and building each as an expression tree would take longer than running it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct


class Sql(Struct, frozen=True):
    """A piece of a statement; `?` stands for a value."""

    text: str
    values: tuple[Any, ...] = ()


TRUE = Sql("1 = 1")


def all_of(pieces: Iterable[Sql]) -> Sql:
    """Every condition has to hold."""
    held = [piece for piece in pieces if piece is not TRUE]
    if not held:
        return TRUE
    return Sql(" AND ".join(piece.text for piece in held), values_of(held))


def values_of(pieces: Iterable[Sql]) -> tuple[Any, ...]:
    """The values of several pieces, in their order."""
    return tuple(value for piece in pieces for value in piece.values)


def within(experiment_ids: tuple[int, ...], column: str = "experiment_id") -> Sql:
    """The rows of these experiments; whole numbers may stand in the text, and a list of them is not limited then."""
    if len(experiment_ids) == 1:
        return Sql(f"{column} = {int(experiment_ids[0])}")
    return Sql(f"{column} IN ({', '.join(str(int(each)) for each in experiment_ids)})")


def behind(ranks: Sequence[tuple[str, bool]], place: Sequence[Any]) -> Sql:
    """The condition that a row comes later than a place in an order without ties.

    Args:
        ranks: what is compared, and whether it descends.
        place: a value for each.
    """
    later = Sql("1 = 0")
    for (text, is_descending), value in zip(reversed(ranks), reversed(place), strict=True):
        sign = "<" if is_descending else ">"
        later = Sql(f"({text} {sign} ? OR ({text} = ? AND {later.text}))", (value, value, *later.values))
    return later

"""Budgets such as `1 per 90d`: how many of something in a length of time."""

from datetime import timedelta

from msgspec import Struct

from penstock.core.clock import parse_duration


class Rate(Struct, frozen=True):
    """At most `count` in any span of `per`."""

    count: float
    per: timedelta


def parse_rate(text: str) -> Rate:
    """`1 per 90d` or `10 per 4w` as a rate.

    Raises:
        ValueError: the text is no such rate, or its count is below zero.
    """
    count, word, per = text.partition(" per ")
    try:
        number = float(count)
        length = parse_duration(per.strip())
    except ValueError:
        word = ""
    if not word or not 0 <= number < 1e9:
        raise ValueError(f"{text!r} is no rate such as '1 per 90d' or '10 per 4w'")
    return Rate(number, length)

"""Page tokens: the place of the last run of a page, so that runs which are added meanwhile shift nothing."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
from blake3 import blake3

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.tracking.search.values import LARGEST, SMALLEST

_LENGTH_LIMIT = 20_000  # characters
_MARK = 16  # hexadecimal digits that tell one search from another


def write_token(search: object, place: Sequence[Any]) -> str:
    """The token that goes on behind a place of this very search."""
    text = codec.encode([_mark(search), *place])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_token(token: str, search: object, kinds: Sequence[type]) -> tuple[Any, ...]:
    """The place in a token.

    Args:
        token: as `write_token` gave it.
        search: the same search.
        kinds: `int` or `str` for each value of the place.

    Raises:
        InvalidInputError: nobody gave out this token, or it belongs to another search.
    """
    held = _open(token)
    if not held or held[0] != _mark(search):
        raise _refuse(token, "it belongs to another search; keep filter, order and experiments the same")
    place = held[1:]
    fits = len(place) == len(kinds) and all(type(value) is kind for value, kind in zip(place, kinds, strict=True))
    if not fits or any(isinstance(value, int) and not SMALLEST <= value <= LARGEST for value in place):
        raise _refuse(token, "start again without one")
    return tuple(place)


def _open(token: str) -> list[Any]:
    if len(token) > _LENGTH_LIMIT:
        raise _refuse(token, "start again without one")
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        held = msgspec.json.decode(text, type=list[int | str])
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _refuse(token, "start again without one") from error
    if any(isinstance(value, str) and "\x00" in value for value in held):
        raise _refuse(token, "start again without one")
    return held


def _mark(search: object) -> str:
    return blake3(codec.encode(search)).hexdigest()[:_MARK]


def _refuse(token: str, hint: str) -> InvalidInputError:
    shown = token if len(token) <= 40 else token[:37] + "..."
    return InvalidInputError(f"{shown!r} is no page token of this search", hint=hint, field="page_token")

"""Reads messages in protobuf's wire format: field numbers and values, nothing of what they mean.

Source: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterator

from penstock.core.errors import InvalidInputError

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
Value = int | memoryview  # a number as it stands in the message, unsigned; or a text, bytes or an inner message


def read_fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """The fields of a message in their order; a number may come more than once.

    Raises:
        InvalidInputError: this is no message, or it ends too early.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = _read_varint(message, place)
        number, kind = tag >> 3, tag & 7
        size = {_FIXED_64: 8, _FIXED_32: 4}.get(kind)
        if number == 0:
            raise InvalidInputError("the message has a field without a number")
        if kind == _VARINT:
            value, place = _read_varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _read_varint(message, place)
        if size is None:
            raise InvalidInputError(f"the message has a field of the unknown kind {kind}")
        if size > end - place:
            raise InvalidInputError("the message ends in the middle of a field")
        piece = message[place : place + size]
        place += size
        yield number, piece if kind == _BYTES else int.from_bytes(piece, "little")


def to_text(value: Value) -> str:
    """A text; what is not UTF-8, and the NUL that no database keeps, become the replacement character."""
    return to_bytes(value).decode("utf-8", errors="replace").replace("\0", "\ufffd")


def to_bytes(value: Value) -> bytes:
    """The bytes of a field.

    Raises:
        InvalidInputError: the field holds a number.
    """
    return bytes(to_message(value))


def to_message(value: Value) -> memoryview:
    """The inner message of a field.

    Raises:
        InvalidInputError: the field holds a number.
    """
    if isinstance(value, int):
        raise InvalidInputError("the message holds a number where text or another message belongs")
    return value


def to_number(value: Value) -> int:
    """The number of a field, unsigned.

    Raises:
        InvalidInputError: the field holds something else.
    """
    if not isinstance(value, int):
        raise InvalidInputError("the message holds a text or another message where a number belongs")
    return value


def to_signed(value: Value) -> int:
    """The number of a field, where it may be negative."""
    number = to_number(value)
    return number - 2**64 if number >= 2**63 else number


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise InvalidInputError("the message ends in the middle of a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place
    raise InvalidInputError("the message holds a number of more than 64 bits")

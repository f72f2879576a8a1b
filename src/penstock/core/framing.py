"""Records one after the other in a file or a message: length, CRC-32 and payload; a torn end is seen as one."""

import zlib
from collections.abc import Iterator
from struct import Struct as Layout

_frame = Layout("<II")  # length of the payload, its CRC-32
FRAME_SIZE = _frame.size


def frame_record(payload: bytes) -> bytes:
    """A payload, which is never empty, with its length and checksum in front."""
    return _frame.pack(len(payload), zlib.crc32(payload)) + payload


def iterate_whole(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each whole record with the offset after it; ends before the first that is torn or damaged."""
    position = 0
    while position + FRAME_SIZE <= len(data):
        length, checksum = _frame.unpack_from(data, position)
        start = position + FRAME_SIZE
        payload = data[start : start + length]
        if not length or len(payload) != length or zlib.crc32(payload) != checksum:
            return
        position = start + length
        yield position, payload


def length_at(data: bytes, position: int) -> int | None:
    """The length that the record at an offset says it has; None where its head is torn."""
    if position + FRAME_SIZE > len(data):
        return None
    length, _checksum = _frame.unpack_from(data, position)
    return int(length)

"""The records inside a segment file of the prediction log: framing, reading back, and repair after a kill."""

import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import Struct as Layout

import msgspec
from msgspec import Struct

from penstock.core.errors import CorruptDataError
from penstock.core.ids import SegmentId
from penstock.predictions.types import PredictionRow

log = logging.getLogger(__name__)
_frame = Layout("<II")  # length of the payload, its CRC-32


class SegmentHeader(Struct, frozen=True, array_like=True):
    """The first record of a segment file."""

    id: SegmentId
    deployment: str
    format: int = 1


class SegmentContent(Struct, frozen=True):
    """What a segment file holds."""

    header: SegmentHeader
    rows: list[PredictionRow]


_header_decoder = msgspec.msgpack.Decoder(SegmentHeader)
_row_decoder = msgspec.msgpack.Decoder(PredictionRow)


def frame_record(payload: bytes) -> bytes:
    """A payload with its length and checksum in front."""
    return _frame.pack(len(payload), zlib.crc32(payload)) + payload


def read_records(path: Path) -> SegmentContent:
    """The header and the rows of a finished segment file.

    Raises:
        CorruptDataError: the header cannot be read, or a record does not fit its checksum.
    """
    data = path.read_bytes()
    payloads = [payload for _end, payload in _iterate_whole(data)]
    end = sum(_frame.size + len(payload) for payload in payloads)
    if end != len(data) or not payloads:
        raise CorruptDataError(f"{path} is damaged at byte {end}", hint="move it away to let the others be shipped")
    return SegmentContent(_header_decoder.decode(payloads[0]), [_row_decoder.decode(p) for p in payloads[1:]])


def repair(path: Path, target: Path) -> None:
    """Finish a segment that a killed process left open: drop a torn last record, and remove a file without rows."""
    data = path.read_bytes()
    ends = [end for end, _payload in _iterate_whole(data)]
    if len(ends) <= 1:  # the header alone
        path.unlink()
        return
    end = ends[-1]
    if end < len(data):
        log.warning("a torn record was dropped from the prediction log", extra={"path": str(path), "at": end})
        if not _is_last_record(data, end):  # not torn but damaged: keep the bytes for a person to look at
            path.with_suffix(".damaged").write_bytes(data)
        os.truncate(path, end)
    path.rename(target)


def _iterate_whole(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each whole record with the offset after it; ends before the first that is torn or damaged."""
    position = 0
    while position + _frame.size <= len(data):
        length, checksum = _frame.unpack_from(data, position)
        start = position + _frame.size
        payload = data[start : start + length]
        if len(payload) != length or zlib.crc32(payload) != checksum:
            return
        position = start + length
        yield position, payload


def _is_last_record(data: bytes, position: int) -> bool:
    if position + _frame.size > len(data):
        return True
    length, _checksum = _frame.unpack_from(data, position)
    return position + _frame.size + int(length) >= len(data)

"""The records inside a segment file of the prediction log: reading back, and repair after a kill."""

import logging
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from penstock.core.errors import CorruptDataError
from penstock.core.framing import FRAME_SIZE, iterate_whole, length_at
from penstock.core.ids import SegmentId
from penstock.predictions.types import PredictionRow

log = logging.getLogger(__name__)


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


def read_records(path: Path) -> SegmentContent:
    """The header and the rows of a finished segment file.

    Raises:
        CorruptDataError: the header cannot be read, or a record does not fit its checksum.
    """
    data = path.read_bytes()
    payloads = [payload for _end, payload in iterate_whole(data)]
    end = sum(FRAME_SIZE + len(payload) for payload in payloads)
    if end != len(data) or not payloads:
        raise CorruptDataError(f"{path} is damaged at byte {end}", hint="move it away to let the others be shipped")
    return SegmentContent(_header_decoder.decode(payloads[0]), [_row_decoder.decode(p) for p in payloads[1:]])


def repair(path: Path, target: Path) -> None:
    """Finish a segment that a killed process left open: drop a torn last record, and remove a file without rows."""
    data = path.read_bytes()
    ends = [end for end, _payload in iterate_whole(data)]
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


def _is_last_record(data: bytes, position: int) -> bool:
    length = length_at(data, position)
    return length is None or position + FRAME_SIZE + length >= len(data)

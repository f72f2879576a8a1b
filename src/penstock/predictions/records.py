"""The records inside a segment file of the prediction log: reading back, and repair after a kill."""

import logging
import os
from pathlib import Path

import msgspec
import polars as pl
from msgspec import Struct

from penstock.core.errors import CorruptDataError
from penstock.core.framing import FRAME_SIZE, iterate_whole, length_at
from penstock.core.ids import SegmentId
from penstock.predictions.blocks import Block, Columns, pack_rows, to_frame
from penstock.predictions.types import PredictionRow

log = logging.getLogger(__name__)


class SegmentHeader(Struct, frozen=True, array_like=True):
    """The first record of a segment file."""

    id: SegmentId
    deployment: str
    format: int = 2  # 1: each record a row; 2: a block of rows, or the columns of blocks that follow


class SegmentContent(Struct, frozen=True):
    """What a segment file holds."""

    header: SegmentHeader
    blocks: list[Block]
    columns: list[Columns]

    def frame(self) -> pl.DataFrame:
        """The predictions, in order; see `SCHEMA`."""
        return to_frame(self.blocks, self.columns)


_header_decoder = msgspec.msgpack.Decoder(SegmentHeader)
_row_decoder = msgspec.msgpack.Decoder(PredictionRow)
_decoder = msgspec.msgpack.Decoder(Block | Columns)


def read_records(path: Path) -> SegmentContent:
    """What stands in a finished segment file, of this or the older format.

    Raises:
        CorruptDataError: the header cannot be read, or a record does not fit its checksum.
    """
    data = path.read_bytes()
    payloads = [payload for _end, payload in iterate_whole(data)]
    end = sum(FRAME_SIZE + len(payload) for payload in payloads)
    if end != len(data) or not payloads:
        raise CorruptDataError(f"{path} is damaged at byte {end}", hint="move it away to let the others be shipped")
    header = _header_decoder.decode(payloads[0])
    if header.format == 1:
        return SegmentContent(header, [pack_rows([_row_decoder.decode(payload) for payload in payloads[1:]])], [])
    records = [_decoder.decode(payload) for payload in payloads[1:]]
    return SegmentContent(
        header,
        [record for record in records if isinstance(record, Block)],
        [record for record in records if isinstance(record, Columns)],
    )


def repair(path: Path, target: Path) -> None:
    """Finish a segment that a killed process left open: drop a torn last record, and remove a file without rows."""
    data = path.read_bytes()
    records = list(iterate_whole(data))
    torn_at = records[-1][0] if records else 0
    if len(records) > 1 and _names_columns(records[-1][1]):  # and its block is gone
        records.pop()
    if len(records) <= 1:  # the header alone
        path.unlink()
        return
    end = records[-1][0]
    if end < len(data):
        log.warning("a torn record was dropped from the prediction log", extra={"path": str(path), "at": end})
        if torn_at < len(data) and not _is_last_record(data, torn_at):  # not torn but damaged: kept for a person
            path.with_suffix(".damaged").write_bytes(data)
        os.truncate(path, end)
    path.rename(target)


def _names_columns(payload: bytes) -> bool:
    try:
        return isinstance(_decoder.decode(payload), Columns)
    except msgspec.MsgspecError:  # a row of the older format
        return False


def _is_last_record(data: bytes, position: int) -> bool:
    length = length_at(data, position)
    return length is None or position + FRAME_SIZE + length >= len(data)

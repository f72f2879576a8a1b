"""Brings finished segments of the prediction log to the server, oldest first, until it has them."""

import logging
import os
from pathlib import Path

from penstock.core.errors import (
    ConflictError,
    CorruptDataError,
    InvalidInputError,
    PenstockError,
    TooLargeError,
    UnavailableError,
)
from penstock.predictions.segment_file import compact_segment
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import Segment
from penstock.serving.port import GatewayPort

log = logging.getLogger(__name__)

# What a server says of the segment itself; a wrong token, say, is no reason to put predictions aside.
_REFUSALS = (InvalidInputError, ConflictError, TooLargeError)


class SegmentShipper:
    """Ships what the log has finished. A segment is removed here only after the server has it; used by one thread."""

    def __init__(self, segments: SegmentLog, port: GatewayPort) -> None:
        self._segments = segments
        self._port = port

    @property
    def waiting(self) -> int:
        """How many segments are finished, but not shipped."""
        return len(self._segments.list_closed())

    def ship(self) -> None:
        """Ship all that is finished.

        Raises:
            UnavailableError, OSError: the server is away, or takes nothing just now; the rest waits.
        """
        for path in self._segments.list_closed():
            try:
                segment, data = compact_segment(path)
            except CorruptDataError as error:
                log.error("a segment is damaged and kept aside: %s", error, extra={"path": str(path)})
                path.rename(path.with_suffix(".damaged"))
                continue
            try:
                self._send(path, segment, data)
            except _REFUSALS as error:  # it would be refused again and again, and hold up the others
                log.error("a segment was refused and kept aside: %s", error, extra={"path": str(path)})
                path.rename(path.with_suffix(".refused"))
            except PenstockError as error:
                raise UnavailableError(f"the server takes no predictions: {error}") from error

    def _send(self, path: Path, segment: Segment, data: bytes) -> None:
        target = path.with_suffix(".parquet")
        partial = path.with_suffix(".partial")
        partial.write_bytes(data)
        os.replace(partial, target)
        self._port.ship_segment(segment, target)
        path.unlink()
        target.unlink()

"""Brings finished segments of the prediction log to the server, oldest first, until it has them."""

import logging
from collections.abc import Callable
from pathlib import Path

from penstock.core.errors import (
    ConflictError,
    CorruptDataError,
    InvalidInputError,
    PenstockError,
    TooLargeError,
    UnavailableError,
)
from penstock.predictions.log import PredictionLog
from penstock.predictions.segment_file import compact_segment
from penstock.predictions.types import Segment
from penstock.serving.port import GatewayPort

log = logging.getLogger(__name__)

# What a server says of the segment itself; a wrong token, say, is no reason to put predictions aside.
_REFUSALS = (InvalidInputError, ConflictError, TooLargeError)


Compact = Callable[[Path], tuple[Segment, Path]]


class SegmentShipper:
    """Ships what the log has finished. A segment is removed here only after the server has it; used by one thread.

    Args:
        segments: the log.
        port: the server.
        compact: makes an object of a finished segment, as `compact_segment` does.
    """

    def __init__(self, segments: PredictionLog, port: GatewayPort, compact: Compact = compact_segment) -> None:
        self._segments = segments
        self._port = port
        self._compact = compact

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
                segment, target = self._compact(path)
            except CorruptDataError as error:
                log.error("a segment is damaged and kept aside: %s", error, extra={"path": str(path)})
                path.rename(path.with_suffix(".damaged"))
                continue
            try:
                self._port.ship_segment(segment, target)
            except _REFUSALS as error:  # it would be refused again and again, and hold up the others
                log.error("a segment was refused and kept aside: %s", error, extra={"path": str(path)})
                path.rename(path.with_suffix(".refused"))
            except PenstockError as error:
                raise UnavailableError(f"the server takes no predictions: {error}") from error
            else:
                path.unlink()
                target.unlink()

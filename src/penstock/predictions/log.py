"""What a gateway needs of a prediction log, and the log that keeps nothing."""

import threading
from pathlib import Path
from typing import Protocol, cast

from penstock.core.ids import PredictionId, SegmentId, new_id
from penstock.predictions.blocks import Block, Columns


class PredictionLog(Protocol):
    """Where a gateway writes what it predicted. Thread safe.

    Attributes:
        folder: whose disk it needs.
    """

    folder: Path

    def append(self, deployment: str, block: Block, columns: Columns | None = None) -> list[PredictionId]:
        """Log predictions of one deployment; their ids, in order.

        Args:
            deployment: whose they are.
            block: the predictions; it is numbered here.
            columns: of a block whose outputs are arrays.

        Raises:
            StorageFullError: the rows could not be written; none of them is in the log.
        """
        ...

    def rotate(self) -> None:
        """Finish every segment that holds rows, whatever its age."""
        ...

    def list_closed(self) -> list[Path]:
        """Finished segments that were not shipped yet, oldest first."""
        ...

    def close(self) -> None:
        """Finish what is open; finished segments stay until they are shipped."""
        ...


class NoLog:
    """For a gateway whose predictions nobody wants to keep: they get ids, and are written nowhere.

    Args:
        folder: as the port has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._id = SegmentId(new_id())
        self._lock = threading.Lock()
        self._rows = 0

    def append(self, deployment: str, block: Block, columns: Columns | None = None) -> list[PredictionId]:
        """Ids that no other predictions have."""
        with self._lock:
            first, self._rows = self._rows, self._rows + block.rows
        return number_rows(self._id, first, block.rows)

    def rotate(self) -> None:
        """There is nothing to finish."""

    def list_closed(self) -> list[Path]:
        """None."""
        return []

    def close(self) -> None:
        """There is nothing to close."""


def number_rows(segment: SegmentId, first: int, count: int) -> list[PredictionId]:
    """The ids of rows of a segment that follow each other."""
    return cast(list[PredictionId], [f"{segment}-{row}" for row in range(first, first + count)])

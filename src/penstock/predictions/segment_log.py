"""The gateway's prediction log on its own disk: a row is written before its answer, and survives a kill.

A file is a header and then records, each `length, crc32, payload` with a MessagePack payload: a block of predictions,
or the columns that blocks after it hold. While it is written it
is called `ID.open`; a finished one is `ID.closed`, and waits to be shipped. One process writes a folder.
"""

import fcntl
import logging
import os
import threading
import time
from pathlib import Path

import msgspec

from penstock.core import failpoints
from penstock.core.errors import ConflictError, StorageFullError
from penstock.core.framing import frame_record
from penstock.core.ids import PredictionId, SegmentId, new_id
from penstock.predictions.blocks import Block, Columns
from penstock.predictions.log import number_rows
from penstock.predictions.records import SegmentHeader, repair

log = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder()


class SegmentLog:
    """Appends predictions to segment files. Thread safe.

    `append` hands the rows to the operating system before it returns, so that killing this process loses nothing; a
    thread syncs to disk every `sync_every_s`, so that a power cut loses no more than that, and finishes a segment that
    is old or large enough. What an earlier process left behind is finished at the start, less a torn last record.

    Args:
        folder: where the files lie; made when missing.
        rotate_after_s: a segment that holds rows is finished after this long.
        rotate_bytes: or when it has grown to this size.
        sync_every_s: how often rows are synced to disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rotate_after_s: float = 1.0,
        rotate_bytes: int = 2 * 1024 * 1024,
        sync_every_s: float = 0.1,
    ) -> None:
        self.folder = folder
        self._rotate_after_s = rotate_after_s
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._open: dict[str, _OpenSegment] = {}
        self._finished: list[_OpenSegment] = []  # renamed, but not synced and closed yet
        self._stopped = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        self._guard = _hold_folder(folder)
        for path in sorted(folder.glob("*.open")):
            repair(path, path.with_suffix(".closed"))
        self._thread = threading.Thread(
            target=self._run, args=(sync_every_s,), name="penstock-segment-log", daemon=True
        )
        self._thread.start()

    def append(self, deployment: str, block: Block, columns: Columns | None = None) -> list[PredictionId]:
        """Log predictions of one deployment; their ids, in order. See `PredictionLog`."""
        with self._lock:
            segment = self._open.get(deployment)
            if segment is None:
                segment = _OpenSegment(self.folder, deployment, block, columns)
                self._open[deployment] = segment  # only a file that holds rows
            else:
                segment.append(block, columns)
            first = segment.rows - block.rows
            if segment.size_bytes >= self._rotate_bytes:
                self._finish(deployment)
        return number_rows(segment.id, first, block.rows)

    def rotate(self) -> None:
        """Finish every segment that holds rows, whatever its age."""
        with self._lock:
            for deployment in list(self._open):
                self._finish(deployment)

    def list_closed(self) -> list[Path]:
        """Finished segments that were not shipped yet, oldest first."""
        return sorted(self.folder.glob("*.closed"))

    def close(self) -> None:
        """Finish what is open and give the folder free; finished segments stay until they are shipped."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join()
        self.rotate()
        self._tend()
        os.close(self._guard)

    def _finish(self, deployment: str) -> None:
        segment = self._open.pop(deployment)
        segment.rename()
        self._finished.append(segment)

    def _run(self, sync_every_s: float) -> None:
        while not self._stopped.wait(sync_every_s):
            try:
                self._tend()
            except OSError:  # a full disk must not end the thread; the rows are written, only not synced yet
                log.exception("the prediction log could not be synced")

    def _tend(self) -> None:
        with self._lock:
            finished, self._finished = self._finished, []
            held = list(self._open.items())
        for segment in finished:
            segment.sync()  # outside the lock: an answer never waits for the disk
            segment.close()
        now = time.monotonic()
        for deployment, segment in held:
            segment.sync()
            if now - segment.started_at >= self._rotate_after_s:
                with self._lock:
                    if self._open.get(deployment) is segment:
                        self._finish(deployment)


class _OpenSegment:
    """One file that is being written."""

    def __init__(self, folder: Path, deployment: str, block: Block, columns: Columns | None) -> None:
        self.id = SegmentId(new_id())
        self.path = folder / f"{self.id}.open"
        self.rows = 0
        self.size_bytes = 0
        self.started_at = time.monotonic()
        self._columns: list[Columns] = []
        self._synced_bytes = 0
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            self.append(block, columns, frame_record(_encoder.encode(SegmentHeader(self.id, deployment))))
        except StorageFullError:
            os.close(self._descriptor)
            self.path.unlink()
            raise

    def append(self, block: Block, columns: Columns | None, before: bytes = b"") -> None:
        """Write a block, and its columns before the first that has them."""
        is_new = columns is not None and columns not in self._columns
        if columns is None:
            block.columns = -1
        elif is_new:
            block.columns = len(self._columns)
            before += frame_record(_encoder.encode(columns))
        else:
            block.columns = self._columns.index(columns)
        self._write(before + frame_record(_encoder.encode(block)))
        self.rows += block.rows
        if columns is not None and is_new:
            self._columns.append(columns)

    def sync(self) -> None:
        """Bring what was written to the disk; only the log's own thread calls this and `close`."""
        if self._synced_bytes == self.size_bytes:
            return
        size = self.size_bytes
        failpoints.hit("predictions.segment_log.before_sync")
        os.fdatasync(self._descriptor)
        if self._synced_bytes == 0:
            _sync_folder(self.path.parent)
        self._synced_bytes = size

    def rename(self) -> None:
        """Give the file its final name."""
        failpoints.hit("predictions.segment_log.before_rename")
        self.path.rename(self.path.with_suffix(".closed"))

    def close(self) -> None:
        """Close the file; no row can be written any more."""
        os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        try:
            failpoints.hit("predictions.segment_log.write")
            written = os.write(self._descriptor, data)
            if written != len(data):  # a nearly full disk takes a part; the rest would fail
                raise OSError(f"only {written} of {len(data)} bytes were written")
        except OSError as error:
            os.ftruncate(self._descriptor, self.size_bytes)
            raise StorageFullError(
                f"the prediction log in {self.path.parent} cannot be written ({error.strerror or error})",
                hint="free some space; predictions are refused until they can be logged",
            ) from error
        self.size_bytes += len(data)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hold_folder(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConflictError(
            f"another gateway writes its prediction log to {folder}", hint="stop it, or give this one its own folder"
        ) from error
    return descriptor

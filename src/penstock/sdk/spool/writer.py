"""Appends records to the segments of a spool: one write to the operating system each, so that a kill loses nothing."""

import os
import threading

from penstock.core import failpoints
from penstock.core.framing import frame_record
from penstock.sdk.spool.folder import SpoolFolder
from penstock.sdk.spool.telling import tell

SEGMENT_BYTES = 8 * 1024 * 1024
MEMORY_BYTES = 64 * 1024 * 1024  # of records that wait for room on the disk
_TAKEN_BYTES = 64 * 1024  # of those, when they are delivered from memory


class SpoolWriter:
    """Writes one spool. Safe to use from several threads, and from a signal handler in the middle of a call.

    When the disk is full, records wait in memory and are written as soon as there is room again.
    """

    def __init__(self, folder: SpoolFolder) -> None:
        self.lock = threading.RLock()
        self._folder = folder
        self._at = (0, 0)  # bytes of the open segment, number of the last record: changed together, or not at all
        self._descriptor = _create(folder.segment(1).as_posix())
        self._synced_bytes = 0
        self._finished: list[int] = []  # segments that are to be synced and closed
        self._is_busy = False
        self._late: list[bytes] = []  # framed by a signal handler while a call was busy
        self._waiting: list[bytes] = []  # for room on the disk
        self._waiting_bytes = 0
        self.dropped = 0  # records that neither disk nor memory had room for

    @property
    def last(self) -> int:
        """The number of the last record on the disk."""
        return self._at[1]

    @property
    def waits_for_room(self) -> bool:
        """Whether records wait in memory for room on the disk."""
        return bool(self._waiting)

    def append(self, payload: bytes) -> None:
        """Append a record; it is in the hands of the operating system when this returns."""
        frame = frame_record(payload)
        with self.lock:
            if self._is_busy:
                self._late.append(frame)
                return
            try:
                self._is_busy = True
                self._append(frame)
                while self._late:
                    self._append(self._late.pop(0))
            finally:
                self._is_busy = False

    def make_room(self, delivered: int) -> list[bytes]:
        """Write what waits for room; where there is still none, give some frames back to be delivered from memory.

        Args:
            delivered: the number of the last record that is delivered. When it is the last one on the disk as well,
                the room of the open segment is given back first.
        """
        with self.lock:
            if self.last == delivered:
                self._start_over(self.last)
            if self._write_waiting() or self.last != delivered:
                return []
            taken = [self._waiting.pop(0)]
            while self._waiting and sum(map(len, taken)) + len(self._waiting[0]) < _TAKEN_BYTES:
                taken.append(self._waiting.pop(0))
            self._waiting_bytes -= sum(map(len, taken))
            self._start_over(self.last + len(taken))
            return taken

    def sync(self) -> None:
        """Bring what was written to the disk itself; nobody who appends waits for it."""
        with self.lock:
            finished, self._finished = self._finished, []
            size = self._at[0]
            open_one = [] if size == self._synced_bytes else [os.dup(self._descriptor)]
            self._synced_bytes = size
        for descriptor in (*finished, *open_one):
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Close the file; what still waits for room is lost, and counted as dropped."""
        with self.lock:
            self._write_waiting()
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self.abandon()

    def abandon(self) -> None:
        """Close the file and leave everything as it is: another process writes it."""
        for descriptor in (*self._finished, self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._finished, self._descriptor = [], -1

    def _start_over(self, last: int) -> None:
        """Empty the open segment, every record of which is delivered; it goes on behind the record `last`."""
        os.ftruncate(self._descriptor, 0)  # before the new name: nothing may be delivered under a wrong number
        self._folder.segments()[-1][1].rename(self._folder.segment(last + 1))
        self._at, self._synced_bytes = (0, last), 0

    def _append(self, frame: bytes) -> None:
        if self._waiting and not self._write_waiting():
            self._keep_waiting(frame)
            return
        try:
            self._write(frame)
        except OSError as error:
            if not self._waiting and not self.dropped:
                reason = (error.strerror or str(error)).lower()
                tell(f"the spool {self._folder.path} cannot be written ({reason}); records wait in memory for room")
            self._keep_waiting(frame)

    def _write(self, frame: bytes) -> None:
        size, last = self._at
        if size >= SEGMENT_BYTES:
            self._open_next()
            size = 0
        failpoints.hit("sdk.spool.write")
        # At its place rather than at the end: what an interrupt left there is written over.
        written = os.pwrite(self._descriptor, frame, size)
        if written != len(frame):
            os.ftruncate(self._descriptor, size)
            raise OSError(f"only {written} of {len(frame)} bytes were written")
        self._at = (size + written, last + 1)

    def _open_next(self) -> None:
        opened = _create(self._folder.segment(self.last + 1).as_posix())
        self._finished.append(self._descriptor)
        self._descriptor = opened
        self._at, self._synced_bytes = (0, self.last), 0

    def _write_waiting(self) -> bool:
        while self._waiting:
            try:
                self._write(self._waiting[0])
            except OSError:
                return False
            self._waiting_bytes -= len(self._waiting.pop(0))
        return True

    def _keep_waiting(self, frame: bytes) -> None:
        if self._waiting_bytes + len(frame) > MEMORY_BYTES:
            self.dropped += 1
            return
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

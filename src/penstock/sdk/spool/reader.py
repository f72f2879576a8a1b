"""Reads the records of a spool in their order, in pieces of a size to send."""

import itertools
import os
from pathlib import Path

from msgspec import Struct

from penstock.core.framing import FRAME_SIZE, frame_record, iterate_whole, length_at
from penstock.sdk.spool.folder import SpoolFolder

BATCH_BYTES = 256 * 1024
_LOST = frame_record(b"\xc0")  # stands for a record that the disk has lost; the server refuses it under its number
_MANY_LOST = 1_000


class Batch(Struct, frozen=True):
    """Records that follow one another."""

    first: int
    frames: list[tuple[int, int]]  # where each begins and ends in the body
    body: bytes

    @property
    def last(self) -> int:
        """The number of the last record."""
        return self.first + len(self.frames) - 1

    def payloads(self) -> list[bytes]:
        """What is in the frames."""
        return [self.body[start + FRAME_SIZE : end] for start, end in self.frames]


class SpoolReader:
    """Goes through a spool from a record on."""

    def __init__(self, folder: SpoolFolder, first: int = 1) -> None:
        self.next = first
        self._folder = folder
        self._path: Path | None = None  # the segment that holds `next`, and where in it
        self._offset = 0

    def start_over(self) -> None:
        """The segments have changed: look for the next record anew."""
        self._path = None

    def read(self, up_to: int) -> Batch | None:
        """The next records, those numbered beyond `up_to` left out; None when there are none."""
        while True:
            if self._path is not None or self._find():
                batch = self._read_here(up_to)
                if batch is not None:
                    return batch
            following = [first for first, path in self._folder.segments() if self._path is None or path > self._path]
            if not following or self.next > up_to:
                return None
            if following[0] > self.next:  # damage before it, or the server forgot what it had: the numbers go on there
                lost = min(following[0] - self.next, _MANY_LOST)
                return self._take(_LOST * lost, [(i * len(_LOST), (i + 1) * len(_LOST)) for i in range(lost)])
            self._path = None

    def unread_bytes(self) -> bytes:
        """What lies behind the last whole record: the torn end of a killed process, or damage."""
        if self._path is None and not self._find():
            return b""
        assert self._path is not None
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            return file.read()

    def last_payload(self) -> bytes | None:
        """The last whole record of the spool."""
        for _, path in reversed(self._folder.segments()):
            payload = None
            for _end, payload in iterate_whole(path.read_bytes()):  # noqa: B007  # the last one is wanted
                pass
            if payload is not None:
                return payload
        return None

    def remove_read(self) -> None:
        """Remove the segments that lie wholly before the next record."""
        segments = self._folder.segments()
        for (_, path), (following, _) in itertools.pairwise(segments):
            if following <= self.next:
                path.unlink(missing_ok=True)
                if path == self._path:  # its end was just read
                    self._path = None

    def _find(self) -> bool:
        """Whether there is a segment that holds the next record, or may come to hold it."""
        before = [(first, path) for first, path in self._folder.segments() if first <= self.next]
        if not before:
            return False
        first, self._path = before[-1]
        self._offset = 0
        skipped = self.next - first
        if skipped:
            for end, _ in iterate_whole(self._path.read_bytes()):
                self._offset, skipped = end, skipped - 1
                if not skipped:
                    break
        return True

    def _read_here(self, up_to: int) -> Batch | None:
        assert self._path is not None
        size = BATCH_BYTES
        with open(self._path, "rb") as file:
            data = os.pread(file.fileno(), size, self._offset)
            length = length_at(data, 0)
            if length is not None and length + FRAME_SIZE > size:
                data = os.pread(file.fileno(), length + FRAME_SIZE, self._offset)
        room, start = up_to - self.next + 1, 0
        frames: list[tuple[int, int]] = []
        for end, _ in iterate_whole(data):
            if len(frames) >= room:
                break
            frames.append((start, end))
            start = end
        if not frames:
            return None
        self._offset += start
        return self._take(data[:start], frames)

    def _take(self, body: bytes, frames: list[tuple[int, int]]) -> Batch:
        batch = Batch(self.next, frames, body)
        self.next += len(frames)
        return batch

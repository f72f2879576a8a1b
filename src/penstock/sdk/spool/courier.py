"""Delivers the records of one spool to the services of a penstock, each exactly once."""

import time

import msgspec

from penstock.catalogue.services import Services
from penstock.core import codec, failpoints
from penstock.core.errors import PenstockError, TooLargeError
from penstock.core.framing import frame_record
from penstock.sdk.spool.folder import SpoolFolder
from penstock.sdk.spool.held import complete, drop_held
from penstock.sdk.spool.reader import Batch, SpoolReader
from penstock.sdk.spool.telling import tell
from penstock.tracking.deliveries.records import End, encode_record
from penstock.tracking.deliveries.types import Delivery, Refusal
from penstock.tracking.types import RunStatus

EVERYTHING = 2**63 - 1


class Courier:
    """Goes through a spool and delivers it, batch by batch; a batch without an answer is sent again.

    Attributes:
        delivered: the number of the last record that the server has applied or refused.
        refused: how many records it has refused.
        moved_at: when something was last on its way, in monotonic seconds.
        uploads: files are on their way just now.
    """

    def __init__(self, folder: SpoolFolder) -> None:
        self.reader = SpoolReader(folder)
        self.delivered = 0
        self.refused = 0
        self.moved_at = time.monotonic()
        self.uploads = False
        self._folder = folder
        self._batch: Batch | None = None
        self._told = False

    def resume(self, services: Services) -> None:
        """Go on where the server says that an earlier process has ended."""
        held = services.deliveries.get_delivery(self._folder.info.id)
        self.delivered = held.last
        self.reader.next = held.last + 1
        self.reader.start_over()
        self._keep_refused(held, known=_read_sequences(self._folder))

    def deliver(self, services: Services, up_to: int = EVERYTHING) -> int:
        """Deliver all records up to a number; returns how many there were.

        Raises:
            PenstockError: the server cannot be reached, or does not take the spool now; try again later.
        """
        count = 0
        while self._next(up_to) is not None:
            count += self._send(services)
        return count

    def take(self, frames: list[bytes]) -> None:
        """Deliver these frames next, which follow what was delivered; the segments have changed."""
        self.reader.start_over()
        if not frames:
            return
        body, places, start = b"".join(frames), [], 0
        for frame in frames:
            places.append((start, start + len(frame)))
            start += len(frame)
        self._batch = Batch(self.delivered + 1, places, body)
        self.reader.next = self._batch.last + 1

    def end_lost_run(self, services: Services, at: int) -> None:
        """End the run of a process that died before it could."""
        end = End(self._folder.info.run_id, at, RunStatus.KILLED, lost=True)
        frame = frame_record(encode_record(end))
        self._keep_refused(services.deliveries.deliver(self._folder.info.id, self.delivered + 1, frame))

    def _next(self, up_to: int) -> Batch | None:
        if self._batch is None:
            self._batch = self.reader.read(up_to)
        return self._batch

    def _send(self, services: Services) -> int:
        batch = self._batch
        assert batch is not None
        self.uploads = True
        try:
            body = complete(batch, self._folder, services.objects)
        finally:
            self.uploads = False
        try:
            answer = services.deliveries.deliver(self._folder.info.id, batch.first, body)
        except TooLargeError:
            if len(batch.frames) == 1:
                raise
            self._batch = _first_half(batch)
            self.reader.next = self._batch.last + 1
            self.reader.start_over()
            return 0
        failpoints.hit("sdk.spool.answered")
        self._keep_refused(answer)
        self.delivered, self.moved_at, self._batch = batch.last, time.monotonic(), None
        drop_held(batch, self._folder)
        self.reader.remove_read()
        return len(batch.frames)

    def _keep_refused(self, answer: Delivery, known: frozenset[int] | None = None) -> None:
        refused = [refusal for refusal in answer.refused if known is None or refusal.sequence not in known]
        if not refused:
            return
        batch = self._batch
        payloads = dict(enumerate(batch.payloads(), batch.first)) if batch else {}
        with open(self._folder.rejected, "ab") as file:
            file.writelines(_describe(refusal, payloads.get(refusal.sequence)) for refusal in refused)
        self.refused += len(refused)
        if not self._told:
            self._told = True
            tell(f"run {self._folder.info.run_id}: {refused[0].message}")
            tell(f"what the server refuses is kept in {self._folder.rejected}")


def _first_half(batch: Batch) -> Batch:
    frames = batch.frames[: len(batch.frames) // 2]
    return Batch(batch.first, frames, batch.body[: frames[-1][1]])


def _describe(refusal: Refusal, payload: bytes | None) -> bytes:
    """A line of the rejected file: why, and the record both readable and exact."""
    record: object = None
    if payload is not None:
        try:
            record = msgspec.msgpack.decode(payload)
        except msgspec.DecodeError:
            record = None
    line = {
        "sequence": refusal.sequence,
        "error_code": refusal.code,
        "message": refusal.message,
        "record": record,
        "payload": payload,
    }
    return codec.encode(line) + b"\n"


def _read_sequences(folder: SpoolFolder) -> frozenset[int]:
    try:
        lines = folder.rejected.read_bytes().splitlines()
    except FileNotFoundError:
        return frozenset()
    found = set()
    for line in lines:
        try:
            found.add(msgspec.json.decode(line)["sequence"])
        except (msgspec.DecodeError, KeyError, TypeError):  # a torn last line
            continue
    return frozenset(found)


def explain(error: Exception) -> str:
    """Why something could not be delivered, in a few words."""
    return error.message if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"

"""Signed checkpoints of the audit chain, in a file beside the database.

Whoever can write the database can rebuild a whole chain, but not sign it: the key is another file, and a copy of the
checkpoints kept elsewhere proves what the chain was.
"""

import fcntl
import logging
import math
import os
import threading
import time
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.key_file import load_or_make_key
from penstock.governance.types import AuditCheckpoint

log = logging.getLogger(__name__)
LONGEST_LINE_BYTES = 1024


class CheckpointLog:
    """Appends signed lines that say how far the chain had come; each speaks for every event before it as well.

    Args:
        folder: where `checkpoints.jsonl` and the signing key `audit.key` live; created if absent.
        every_s: while events come without a pause, sign once in this time; 0 signs whenever a group of them ends.
    """

    def __init__(self, folder: Path, *, every_s: float = 0.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "checkpoints.jsonl"
        self._key = load_or_make_key(folder / "audit.key", Ed25519PrivateKey.generate, Ed25519PrivateKey)
        self._every_s = every_s
        self._lock = threading.Lock()
        self._due: tuple[int, str] | None = None
        self._timer: threading.Timer | None = None
        self._signed_at = -math.inf

    def append(self, number: int, digest: str) -> None:
        """Sign and write one checkpoint, now or a moment later; a full disk only means that this one is missing."""
        with self._lock:
            self._due = (number, digest)
            wait_s = self._signed_at + self._every_s - time.monotonic()
            if wait_s <= 0:
                self._sign()
            elif self._timer is None:
                self._timer = threading.Timer(wait_s, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Sign what still waits for it, as far as the disk takes it."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            try:
                self._sign()
            except OSError as error:
                log.warning("an audit checkpoint is missing: %s", error)

    def _sign(self) -> None:
        if self._due is None:
            return
        (number, digest), self._due = self._due, None
        self._signed_at = time.monotonic()
        checkpoint = AuditCheckpoint(number, digest, self._key.sign(_statement(number, digest)).hex())
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # freed when the file is closed
            _cut_torn_line(descriptor)
            os.write(descriptor, codec.encode(checkpoint) + b"\n")
        finally:
            os.close(descriptor)

    def read(self) -> list[AuditCheckpoint]:
        """Every checkpoint in the file, unverified.

        Raises:
            InvalidInputError: a line is no checkpoint.
        """
        self.flush()
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().split(b"\n")
        whole = lines[:-1]  # a torn last line was never a checkpoint
        return [_parse(line, number) for number, line in enumerate(whole, 1)]

    def is_signed(self, checkpoint: AuditCheckpoint) -> bool:
        """Whether this project's key made the signature."""
        try:
            signature = bytes.fromhex(checkpoint.signature)
            self._key.public_key().verify(signature, _statement(checkpoint.number, checkpoint.digest))
        except (InvalidSignature, ValueError):
            return False
        return True


def _cut_torn_line(descriptor: int) -> None:
    """Remove the beginning of a line that a crash or a full disk left at the end; it was never a checkpoint."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    start = max(0, size - LONGEST_LINE_BYTES)
    tail = os.pread(descriptor, LONGEST_LINE_BYTES, start)
    os.ftruncate(descriptor, start + tail.rfind(b"\n") + 1)


def _statement(number: int, digest: str) -> bytes:
    return f"penstock audit {number}:{digest}".encode()


def _parse(line: bytes, number: int) -> AuditCheckpoint:
    try:
        return codec.decode(line, AuditCheckpoint)
    except InvalidInputError as error:
        raise InvalidInputError(f"line {number} of the audit checkpoints is damaged: {error.message}") from error

"""Signed checkpoints of the audit chain, in a file beside the database.

Whoever can write the database can rebuild a whole chain, but not sign it: the key is another file, and a copy of the
checkpoints kept elsewhere proves what the chain was.
"""

import fcntl
import os
import threading
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.ids import new_id
from penstock.governance.types import AuditCheckpoint

LONGEST_LINE_BYTES = 1024


class CheckpointLog:
    """Appends a signed line for each group of audit events.

    Args:
        folder: where `checkpoints.jsonl` and the signing key `audit.key` live; created if absent.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "checkpoints.jsonl"
        self._key = _load_or_make_key(folder / "audit.key")
        self._lock = threading.Lock()

    def append(self, number: int, digest: str) -> None:
        """Sign and write one checkpoint; a full disk only means that this one is missing."""
        checkpoint = AuditCheckpoint(number, digest, self._key.sign(_statement(number, digest)).hex())
        with self._lock:
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


def _load_or_make_key(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        temporary = path.with_suffix(f".{new_id()}")  # a process killed here may have had the same number as this one
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # never replaces the key another process made meanwhile
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(loaded, Ed25519PrivateKey):
        raise InvalidInputError(f"{path} holds no Ed25519 key", hint="restore it from a backup")
    return loaded

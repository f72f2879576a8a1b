"""What a process that reads files is told, and what it answers: four bytes of length, then MessagePack."""

from typing import IO

import msgspec
from msgspec import Struct

from penstock.storage.objects.folders.reading import FileFacts

_LENGTH = 4  # bytes before each message


class Start(Struct, frozen=True, tag=True):
    """The first message."""

    store: bytes  # the folder of the object store
    pack_size: int
    is_empty: bool  # nothing is in it yet


class Read(Struct, frozen=True, tag=True):
    """Read files of one folder."""

    folder: bytes
    names: list[str]


class Flush(Struct, frozen=True, tag=True):
    """Make everything that was read safe."""


class Answer(Struct, frozen=True):
    """What came of a message."""

    files: list[FileFacts] = []
    packs: list[tuple[str, bytes]] = []  # name and index of each pack that was written since the last flush
    error: tuple[str, str, str] | None = None  # code, message and hint


def send(stream: IO[bytes], message: Struct) -> None:
    """Write one message."""
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH) + body)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one message; empty when there are no more."""
    head = stream.read(_LENGTH)
    return stream.read(int.from_bytes(head)) if len(head) == _LENGTH else b""

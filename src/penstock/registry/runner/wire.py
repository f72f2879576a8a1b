"""What a model's process and the one that asks it tell each other.

A message is a header of fixed size, a short head in MessagePack, and raw bytes. Nothing in it is ever unpickled: the
process on the other side may say anything at all, so every size is bounded before memory is taken for it.
"""

import math
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penstock.core.errors import PenstockError

_HEADER = struct.Struct("=BIQ")  # kind, bytes of the head, bytes of the body
_HEAD_BYTES = 1024 * 1024
_RAW: dict[str, Any] = {"f8": np.float64, "f4": np.float32, "i8": np.int64, "b1": np.bool_}
_CODES = {np.dtype(kind): code for code, kind in _RAW.items()}
_LIST = "list"  # values of any plain kind, in MessagePack

Columns = dict[str, NDArray[Any] | list[Any]]


class BadAnswerError(PenstockError):
    """The other side does not keep to the protocol."""


class Kind(IntEnum):
    """What a message is."""

    READY = 1
    FRAME = 2  # a frame as Arrow IPC, to predict
    MATRIX = 3  # floats, to predict
    ANSWER = 4
    ERROR = 5


class Matrix(Struct, frozen=True):
    """The head of a matrix."""

    code: str
    rows: int
    columns: int


class ColumnHead(Struct, frozen=True):
    """One column of an answer: how its bytes are to be read, and how many there are."""

    name: str
    code: str
    shape: tuple[int, ...]
    size: int


class Problem(Struct, frozen=True):
    """An error that crosses over."""

    code: str
    message: str
    hint: str = ""
    field: str = ""


class Message(Struct, frozen=True):
    """One message as it came."""

    kind: Kind
    head: bytes
    body: bytearray


def send(channel: socket.socket, kind: Kind, head: object, *body: Any) -> None:
    """Send one message.

    Raises:
        OSError: the other side is gone, or does not read in time.
    """
    described = msgspec.msgpack.encode(head)
    size = sum(memoryview(part).nbytes for part in body)
    channel.sendall(_HEADER.pack(kind, len(described), size) + described)
    for part in body:
        channel.sendall(part)


def receive(channel: socket.socket, *, limit: int, until: float | None = None) -> Message | None:
    """The next message; None when the other side has closed.

    Args:
        channel: a stream socket.
        limit: bytes of the body that are taken at most.
        until: when to give up, on the monotonic clock; None waits for ever.

    Raises:
        BadAnswerError: the message is larger, or of no known kind.
        TimeoutError: it took too long.
        OSError: the channel is broken.
    """
    header = _receive_exactly(channel, _HEADER.size, until)
    if header is None:
        return None
    kind, head_size, body_size = _HEADER.unpack(header)
    if kind not in Kind.__members__.values() or head_size > _HEAD_BYTES or body_size > limit:
        raise BadAnswerError(f"a message of kind {kind} with {head_size} and {body_size} bytes is not taken")
    head, body = _receive_exactly(channel, head_size, until), _receive_exactly(channel, body_size, until)
    if head is None or body is None:
        return None
    return Message(Kind(kind), bytes(head), body)


def encode_columns(columns: Mapping[str, NDArray[Any] | Sequence[Any]]) -> tuple[list[ColumnHead], list[Any]]:
    """Columns as heads and bytes: numbers as they lie in memory, everything else as lists."""
    heads: list[ColumnHead] = []
    parts: list[Any] = []
    for name, values in columns.items():
        array = values if isinstance(values, np.ndarray) else None
        code = _LIST if array is None else _CODES.get(array.dtype, _LIST)
        if array is None or code == _LIST:
            plain = values.tolist() if isinstance(values, np.ndarray) else list(values)
            part: Any = msgspec.msgpack.encode(plain)
            heads.append(ColumnHead(name, _LIST, (len(plain),), len(part)))
        else:
            part = _bytes_of(array)
            heads.append(ColumnHead(name, code, array.shape, array.nbytes))
        parts.append(part)
    return heads, parts


def decode_columns(message: Message, rows: int) -> Columns:
    """The columns of an answer to so many rows.

    Raises:
        BadAnswerError: what came is no such thing.
    """
    try:
        heads = msgspec.msgpack.decode(message.head, type=list[ColumnHead])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswerError(f"the answer cannot be read: {error}") from error
    if sum(head.size for head in heads) != len(message.body) or any(head.size < 0 for head in heads):
        raise BadAnswerError("the answer has another size than it says")
    columns: Columns = {}
    start, body = 0, memoryview(message.body)
    for head in heads:
        columns[head.name] = _decode_column(head, body[start : start + head.size], rows)
        start += head.size
    return columns


def decode_matrix(message: Message) -> NDArray[Any]:
    """The matrix that is to be predicted."""
    head = msgspec.msgpack.decode(message.head, type=Matrix)
    return np.frombuffer(message.body, dtype=_RAW[head.code]).reshape(head.rows, head.columns)


def encode_matrix(matrix: NDArray[Any]) -> tuple[Matrix, Any]:
    """A matrix of floats as head and bytes."""
    code = "f4" if matrix.dtype == np.float32 else "f8"
    floats = matrix.astype(_RAW[code], copy=False)
    return Matrix(code, *floats.shape), _bytes_of(floats)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """The memory of an array, in the order of its rows."""
    flat: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(flat)


def _decode_column(head: ColumnHead, part: memoryview, rows: int) -> NDArray[Any] | list[Any]:
    if not head.shape or head.shape[0] != rows or len(head.shape) > 2 or min(head.shape) < 0:
        raise BadAnswerError(f"{head.name!r} has shape {head.shape} and was asked for {rows} rows")
    if head.code == _LIST:
        try:
            values = msgspec.msgpack.decode(part, type=list[Any])
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise BadAnswerError(f"{head.name!r} cannot be read: {error}") from error
        if len(values) != rows:
            raise BadAnswerError(f"{head.name!r} has {len(values)} values and was asked for {rows}")
        return values
    kind = _RAW.get(head.code)
    if kind is None or math.prod(head.shape) * np.dtype(kind).itemsize != head.size:
        raise BadAnswerError(f"{head.name!r} has kind {head.code!r}, shape {head.shape} and {head.size} bytes")
    if head.code == "b1":  # other bytes than 0 and 1 are no booleans, and reading them as such is undefined
        return np.frombuffer(part, dtype=np.uint8).reshape(head.shape).astype(np.bool_)
    return np.frombuffer(part, dtype=kind).reshape(head.shape)


def _receive_exactly(channel: socket.socket, size: int, until: float | None) -> bytearray | None:
    """So many bytes; None when the other side closes before."""
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            channel.settimeout(left)
        count = channel.recv_into(view[filled:])
        if count == 0:
            return None
        filled += count
    return buffer

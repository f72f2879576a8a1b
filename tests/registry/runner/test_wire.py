"""What a model's process may say, and what is made of it."""

import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from penstock.registry.format.types import Column
from penstock.registry.runner import frames, wire
from penstock.registry.runner.wire import BadAnswerError, ColumnHead, Kind, Message

LIMIT = 1024 * 1024
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def answer(*heads: ColumnHead, body: bytes = b"") -> Message:
    return Message(Kind.ANSWER, msgspec.msgpack.encode(list(heads)), bytearray(body))


@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.bool_]),
        arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=20),
    )
)
def test_arrays_come_back_as_they_were(values: Any) -> None:
    heads, parts = wire.encode_columns({"a": values})
    found = wire.decode_columns(answer(*heads, body=b"".join(parts)), len(values))["a"]
    assert isinstance(found, np.ndarray)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_a_transposed_matrix_keeps_its_order() -> None:
    matrix = np.arange(6.0).reshape(2, 3).T
    head, body = wire.encode_matrix(matrix)
    message = Message(Kind.MATRIX, msgspec.msgpack.encode(head), bytearray(body))
    np.testing.assert_array_equal(wire.decode_matrix(message), matrix)


def test_labels_of_any_kind_come_back() -> None:
    labels = np.array(["a", None, "é"], dtype=object)
    heads, parts = wire.encode_columns({"label": labels, "day": ["x", 1, None]})
    assert wire.decode_columns(answer(*heads, body=b"".join(parts)), 3) == {
        "label": ["a", None, "é"],
        "day": ["x", 1, None],
    }


def test_a_message_in_pieces_is_put_together(pair: Pair) -> None:
    one, other = pair
    wire.send(one, Kind.ANSWER, ["head"], b"12", b"345")
    found = wire.receive(other, limit=LIMIT)
    assert found == Message(Kind.ANSWER, msgspec.msgpack.encode(["head"]), bytearray(b"12345"))
    one.close()
    assert wire.receive(other, limit=LIMIT) is None


@pytest.mark.parametrize(
    "header",
    [(Kind.ANSWER, 0, LIMIT + 1), (Kind.ANSWER, 2**31, 0), (Kind.ANSWER, 0, 2**63), (99, 0, 0), (0, 0, 0)],
)
def test_what_is_too_large_or_unknown_is_not_taken(pair: Pair, header: tuple[int, int, int]) -> None:
    one, other = pair
    one.sendall(wire._HEADER.pack(*header))
    with pytest.raises(BadAnswerError, match="is not taken"):
        wire.receive(other, limit=LIMIT)


def test_a_slow_message_is_given_up(pair: Pair) -> None:
    one, other = pair
    one.sendall(wire._HEADER.pack(Kind.ANSWER, 10, 10) + b"half")
    with pytest.raises(TimeoutError):
        wire.receive(other, limit=LIMIT, until=0.0)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (ColumnHead("p", "f8", (3, 2**40), 8), bytes(8)),
        (ColumnHead("p", "f8", (2**62, 4), 0), b""),
        (ColumnHead("p", "f8", (2,), 16), bytes(16)),  # two answers to three rows
        (ColumnHead("p", "f8", (3,), 25), bytes(25)),
        (ColumnHead("p", "f8", (3,), 24), bytes(23)),
        (ColumnHead("p", "f8", (3, -1), -24), b""),
        (ColumnHead("p", "f8", (3, 1, 1), 24), bytes(24)),
        (ColumnHead("p", "O", (3,), 24), bytes(24)),  # pointers
        (ColumnHead("p", "list", (3,), 2), b"\x92\xc0"),
        (ColumnHead("p", "list", (3,), 100_001), b"\x91" * 100_000 + b"\xc0"),
        (ColumnHead("p", "list", (3,), 5), b"\xdd\xff\xff\xff\xff"),  # says that four billion values follow
        (ColumnHead("p", "list", (3,), 2), b"\x91\xc0"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(head: ColumnHead, body: bytes) -> None:
    with pytest.raises(BadAnswerError):
        wire.decode_columns(answer(head, body=body), 3)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_answer_does_more_than_be_refused(head: bytes, body: bytes) -> None:
    try:
        columns = wire.decode_columns(Message(Kind.ANSWER, head, bytearray(body)), 1)
        frames.to_frame(columns, (Column("p", "double"),))
    except BadAnswerError:
        pass


@pytest.mark.parametrize("values", [[{"a": 1}], ["text"], [[1.0]], [b"bytes"]])
def test_a_list_that_is_no_column_is_refused(values: list[Any]) -> None:
    with pytest.raises(BadAnswerError):
        frames.to_frame({"p": values}, (Column("p", "double"),))


def test_a_frame_crosses_over() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": pl.Series(["u", "v"], dtype=pl.Categorical)})
    assert frames.read_frame(frames.write_frame(frame)).equals(frame)

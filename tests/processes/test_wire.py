"""The wire: one request is one request, nobody waits for the slow, and an answer is one piece."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from penstock.processes.listener import open_listener
from penstock.processes.wire import BoundedHttpProtocol

HEAD = b"POST /a HTTP/1.1\r\nhost: 127.0.0.1\r\n"
TCP_INFO_DATA_SEGMENTS_IN = 152  # where `tcpi_data_segs_in` stands in Linux's struct tcp_info


class Impatient(BoundedHttpProtocol):
    look_s = 0.05
    head_timeout_s = 0.3
    body_timeout_s = 0.3
    body_least_bytes = 10
    write_timeout_s = 0.3
    idle_timeout_s = 0.4


class Heard:
    """An application that notes every whole request."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            return
        self.bodies.append(body)
        size = 20_000_000 if scope["path"] == "/large" else 2
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"o" * size})


Open = Callable[..., socket.socket]


@contextlib.contextmanager
def listening(app: object, protocol: type[BoundedHttpProtocol], most: int | None = None) -> Iterator[Open]:
    listener = open_listener("127.0.0.1", 0, what="server", option="--port")
    settings = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        lifespan="off",
        loop="uvloop",
        http=protocol,
        ws="none",
        limit_concurrency=most,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with contextlib.ExitStack() as stack:

        def connect(content: bytes = b"") -> socket.socket:
            line = stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
            line.sendall(content)
            return line

        yield connect
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def connect(heard: Heard) -> Iterator[Open]:
    with listening(heard, Impatient) as connect:
        yield connect


def read_all(line: socket.socket) -> bytes:
    held = b""
    with contextlib.suppress(ConnectionError):
        while part := line.recv(65536):
            held += part
    return held


REFUSED = {
    "a length and chunks": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "the same length twice": HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "the same length in a list": HEAD + b"content-length: 2, 2\r\n\r\n{}",
    "compressed chunks": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "identity and chunks": HEAD + b"transfer-encoding: identity, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks of HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "bare line feeds": (HEAD + b"content-length: 2\r\n\r\n{}").replace(b"\r\n", b"\n"),
    "a bare line feed in the request line": (HEAD + b"content-length: 2\r\n\r\n{}").replace(b"\r\n", b"\n", 1),
    "a bare line feed at the end of the head": HEAD + b"content-length: 2\r\n\n{}",
    "a bare carriage return": HEAD + b"x: a\rcontent-length: 2\r\n\r\n{}",
    "a folded header": HEAD + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\n{}",
    "a space in front of the first header": HEAD.replace(b"host", b" x: y\r\nhost") + b"content-length: 2\r\n\r\n{}",
    "a space before the colon": HEAD + b"content-length : 2\r\n\r\n{}",
    "a header without a name": HEAD + b": a\r\ncontent-length: 2\r\n\r\n{}",
    "a header without a colon": HEAD + b"abc\r\ncontent-length: 2\r\n\r\n{}",
    "a line feed after a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\n0\r\n\r\n",
    "nothing after a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
    "a line feed in a chunk extension": HEAD + b"transfer-encoding: chunked\r\n\r\n2;a\n{}\r\n0\r\n\r\n",
    "a length among the trailers": HEAD
    + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\ncontent-length: 5\r\n\r\n",
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "HTTP/2": b"GET /a HTTP/2.0\r\nhost: 127.0.0.1\r\n\r\n",
    "the beginning of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a whole URL": b"GET http://127.0.0.1/a HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    "another protocol for a body": HEAD + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n{}",
    "a body nobody announced": HEAD + b"\r\n{}",
    "too many headers": HEAD + b"".join(b"x%d: a\r\n" % n for n in range(300)) + b"\r\n",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_and_the_line_cut(case: str, connect: Open, heard: Heard) -> None:
    answer = read_all(connect(REFUSED[case]))
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    last = b"400" if case != "too many headers" else b"431"
    assert statuses[-1] == last and b'"error_code":' in answer
    assert case == "a body nobody announced" or heard.bodies == []


def test_a_trailer_is_no_header(connect: Open) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        seen.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with listening(app, Impatient) as connect:
        chunks = b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-penstock-actor: root\r\n\r\n"
        assert connect(HEAD + chunks).recv(100).startswith(b"HTTP/1.1 200")
    assert b"x-penstock-actor" not in seen[0]


@pytest.mark.parametrize("begun", [b"", b"POST /a HT", HEAD], ids=["nothing", "half a line", "half a head"])
def test_a_head_that_does_not_come_is_not_waited_for(begun: bytes, connect: Open) -> None:
    assert read_all(connect(begun)) == b""


def test_a_body_that_does_not_come_is_refused(connect: Open, heard: Heard) -> None:
    answer = read_all(connect(HEAD + b"content-length: 100\r\n\r\n{"))
    assert answer.startswith(b"HTTP/1.1 408") and b'"error_code":"TIMEOUT"' in answer
    assert heard.bodies == []


def test_an_upload_may_take_as_long_as_it_goes_on(connect: Open, heard: Heard) -> None:
    line = connect(HEAD + b"content-length: 150\r\n\r\n")
    for _ in range(15):
        time.sleep(0.06)  # in all three times as long as a body that stands still is waited for
        line.sendall(b"0123456789")
    assert line.recv(100).startswith(b"HTTP/1.1 200")
    assert heard.bodies == [b"0123456789" * 15]


def test_drops_are_no_upload(connect: Open, heard: Heard) -> None:
    line = connect(HEAD + b"content-length: 1000\r\n\r\n")
    with pytest.raises(OSError):
        for _ in range(100):
            time.sleep(0.1)
            line.sendall(b"0")
    assert heard.bodies == []


def test_a_client_that_reads_nothing_is_let_go(connect: Open) -> None:
    line = connect(b"GET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    time.sleep(1.5)
    assert len(read_all(line)) < 20_000_000


def test_a_connection_without_requests_ends_after_a_while(connect: Open) -> None:
    line = connect(HEAD + b"content-length: 2\r\n\r\n{}")
    assert line.recv(1000).startswith(b"HTTP/1.1 200")
    line.sendall(HEAD + b"content-length: 2\r\n\r\n{}")
    assert line.recv(1000).startswith(b"HTTP/1.1 200")
    started = time.monotonic()
    assert line.recv(1000) == b"" and time.monotonic() - started > 0.3


def test_one_client_too_many_hears_when_to_come_again(heard: Heard) -> None:
    with listening(heard, BoundedHttpProtocol, most=3) as connect:
        held = [connect(b"GET") for _ in range(3)]
        time.sleep(0.2)
        answer = read_all(connect())
        assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in answer and b'"error_code"' in answer
        held[0].close()
        time.sleep(0.2)
        assert connect(HEAD + b"content-length: 2\r\n\r\n{}").recv(100).startswith(b"HTTP/1.1 200")


def test_an_answer_is_one_piece_on_the_wire(connect: Open) -> None:
    """Head and body in two pieces, and Nagle, would make a client with delayed acknowledgement wait 40 ms."""
    line = connect()
    before = count_pieces(line)
    for number in range(1, 11):
        line.sendall(HEAD + b"content-length: 2\r\n\r\n{}")
        assert line.recv(1000).endswith(b"oo")
        assert count_pieces(line) - before == number


def count_pieces(line: socket.socket) -> int:
    info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return int(struct.unpack_from("=I", info, TCP_INFO_DATA_SEGMENTS_IN)[0])


def test_accepted_sockets_send_at_once() -> None:
    listener = open_listener("127.0.0.1", 0, what="server", option="--port")
    with contextlib.closing(listener), socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with contextlib.closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_three_hundred_slow_clients_keep_nobody_waiting(heard: Heard) -> None:
    with listening(heard, BoundedHttpProtocol, most=1000) as connect:
        for number in range(300):
            connect([b"GET /a", HEAD, HEAD + b"content-length: 100\r\n\r\n{"][number % 3])
        for _ in range(50):
            line = connect(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            assert line.recv(100).startswith(b"HTTP/1.1 200")

"""HTTP on the wire with bounds: what a head may hold, how slow a client may be, and how many may come at once."""

import asyncio
from enum import Enum, auto
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from penstock.core import codec

HEAD_LIMIT_BYTES = 64 * 1024  # of the request line with all headers
HEADERS_LIMIT = 200
LARGEST_JOINED_BYTES = 64 * 1024  # copying more than that costs more than a second write
Fault = tuple[int, str, str]  # status, error code, message
NOT_HTTP: Fault = (400, "BAD_REQUEST", "this is no valid HTTP request")


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()  # the rest of a request's head, or the first one
    BODY = auto()
    ANSWER = auto()  # ours; or nothing, once it was given


class JoinedWrites:
    """What one answer is written to: its head waits for the first piece of its body, and both go out as one.

    Two small writes would be two system calls, two packets, and two times that the client wakes up.
    """

    __slots__ = ("_head", "_is_due", "_transport")

    def __init__(self, transport: asyncio.Transport, method: str) -> None:
        self._transport = transport
        self._head = b""
        self._is_due = method != "HEAD"  # no body will follow there

    def write(self, data: bytes) -> None:
        """Write, or keep a head back until the next write."""
        if self._is_due and not data.startswith(b"HTTP/1.1 1"):  # 100 Continue is not the answer yet
            self._is_due = False
            self._head = data
        elif self._head:
            head, self._head = self._head, b""
            if len(data) < LARGEST_JOINED_BYTES:
                self._transport.write(head + data)
            else:
                self._transport.writelines((head, data))
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection ends."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Write what was kept back, and end the connection."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which alone would take headers without end and wait for them for ever.

    Nothing is timed on the way of a request that arrives whole: a look every few seconds finds who makes no progress.
    """

    look_s = 5.0
    head_timeout_s = 30.0
    body_timeout_s = 30.0
    body_least_bytes = 4_096  # in that time: far below any line that an upload could end on
    write_timeout_s = 60.0  # for a client that reads nothing of its answer
    idle_timeout_s = 75.0  # longer than training pauses between two metrics, as a rule

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._most_connections, self.limit_concurrency = self.limit_concurrency, None  # refused when they come
        self._phase = Phase.HEAD
        self._fault: Fault | None = None
        self._transfer = b""
        self._head_bytes = 0
        self._trailer_bytes = 0
        self._requests = 0
        self._body_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last_look: tuple[object, ...] = ()
        self._waited_s = 0.0
        self._body_at_start = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a client in, unless too many are here."""
        if self._most_connections is not None and len(self.connections) >= self._most_connections:
            transport.write(_answer((503, "UNAVAILABLE", "too many connections are open"), b"retry-after: 1\r\n"))
            transport.close()
            return
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.look_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on what arrived, and count it while the head is not whole."""
        if self.transport.is_closing():
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # nothing is upgraded to: the answer is sent, and then the connection closed
        except httptools.HttpParserError:
            self._refuse(self._fault or NOT_HTTP)
            return
        if self._phase is Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES:
                self._refuse((431, "HEADERS_TOO_LARGE", f"the headers are larger than {HEAD_LIMIT_BYTES} bytes"))

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._phase = Phase.HEAD
        self._requests += 1
        self._head_bytes = self._trailer_bytes = 0
        self._transfer = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; or a trailer after the body, which is counted and dropped: the request was judged without it."""
        if self._phase is not Phase.HEAD:
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > HEAD_LIMIT_BYTES:
                raise httptools.HttpParserError("too many trailers")
            return
        name = name.lower()
        self.headers.append((name, value))
        if name == b"transfer-encoding":
            self._transfer = value.lower()
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._fault = self._find_fault()
        if self._fault is not None:
            raise httptools.HttpParserError(self._fault[2])
        self._phase = Phase.BODY
        super().on_headers_complete()
        self.cycle.transport = JoinedWrites(self.transport, self.scope["method"])  # type: ignore[assignment]
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._phase = Phase.ANSWER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; `_look` ends the connection when none comes."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def _find_fault(self) -> Fault | None:
        """What another program on the way here could read in another way, or what nothing here answers."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            return 400, "BAD_REQUEST", "this server speaks HTTP/1.1"
        if len(self.headers) > HEADERS_LIMIT:
            return 431, "HEADERS_TOO_LARGE", f"there are more than {HEADERS_LIMIT} headers"
        if self._transfer and (self._transfer != b"chunked" or version == "1.0"):
            return 400, "BAD_REQUEST", "a body is sent with its length, or in chunks of HTTP/1.1"
        if not self.url.startswith((b"/", b"*")):
            return 400, "BAD_REQUEST", "the target of a request is a path"
        if self.parser.should_upgrade() and (self._transfer or any(n == b"content-length" for n, _ in self.headers)):
            return 400, "BAD_REQUEST", "this server does not change the protocol of a connection"
        return None

    def _look(self) -> None:
        """End what made no progress since the last looks."""
        if self.transport.is_closing():
            return
        self._timer = self.loop.call_later(self.look_s, self._look)
        unsent = self.transport.get_write_buffer_size()
        seen = (self._phase, self._requests, unsent)
        if seen != self._last_look or (self._phase is Phase.BODY and self.flow.read_paused):
            self._last_look, self._waited_s, self._body_at_start = seen, 0.0, self._body_bytes
            return
        self._waited_s += self.look_s
        if unsent:
            if self._waited_s >= self.write_timeout_s:
                self.transport.abort()
        elif self._phase is Phase.HEAD:
            if self._waited_s >= self.head_timeout_s:
                self.transport.close()
        elif self._phase is Phase.BODY:
            self._look_at_body()
        elif self._waited_s >= self.idle_timeout_s and self.cycle.response_complete:
            self.transport.close()

    def _look_at_body(self) -> None:
        if self._waited_s < self.body_timeout_s:
            return
        if self._body_bytes - self._body_at_start < self.body_least_bytes:
            self._refuse((408, "TIMEOUT", "the body of this request did not arrive in time"))
        self._waited_s, self._body_at_start = 0.0, self._body_bytes

    def _refuse(self, fault: Fault) -> None:
        """Say why and close; where an answer is on its way, only close, for nobody could tell the two apart."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_answer(fault))
        self.transport.close()


def _answer(fault: Fault, more_headers: bytes = b"") -> bytes:
    status, code, message = fault
    body = codec.encode({"error_code": code, "message": message})
    head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
    return STATUS_LINE[status] + head + more_headers + b"\r\n" + body

"""One connection of an attacker: requests go out as they stand, and a parser in C reads the answers."""

import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from patience import PATIENCE_S


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]
    took_s: float


class Wire:
    """A kept connection to a server."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        host, _, port = self._netloc.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open = True

    def exchange(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """One request and its answer.

        Raises:
            OSError: the connection broke before the answer was whole.
            httptools.HttpParserError: the answer is no HTTP.
        """
        started = time.perf_counter()
        self._socket.sendall(self._write(method, path, body, headers))
        answer = _Answer(is_head=method == "HEAD")
        while not answer.is_whole:
            data = self._socket.recv(1 << 18)
            if data:
                answer.parser.feed_data(data)
            elif answer.ends_with_connection:
                answer.is_whole = True
            else:
                raise ConnectionResetError("the server hung up before its answer was whole")
        self.is_open = answer.keeps_connection
        return Reply(answer.status, b"".join(answer.body), answer.headers, time.perf_counter() - started)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _write(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [] if "host" in headers else [f"host: {self._netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}"] if body or method in ("POST", "PUT", "PATCH") else []
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class _Answer:
    """What the parser has told so far."""

    is_head: bool
    is_whole: bool = False
    ends_with_connection: bool = False
    keeps_connection: bool = False
    status: int = 0
    body: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.keeps_connection = self.parser.should_keep_alive()
        self.ends_with_connection = not self.headers.keys() & {"content-length", "transfer-encoding"}
        self.is_whole = self.is_head

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_complete(self) -> None:
        self.is_whole = True

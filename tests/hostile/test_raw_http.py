"""Bytes on the wire that are no HTTP, or two things at once: one request is one request, or none."""

import contextlib
import socket
from urllib.parse import urlsplit

import pytest

from hostile.attacks import Attacker
from hostile.world import World
from patience import PATIENCE_S

HOST = b"host: 127.0.0.1\r\n"
BODY = b'{"name":"smuggled"}'
POST = b"POST /api/v1/experiments HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
INNER = b"POST /api/v1/experiments HTTP/1.1\r\n" + HOST + b"content-length: 19\r\n\r\n" + BODY
CONFLICTS = {
    "a length and chunks": POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunks and a length": POST + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n" + INNER,
    "two lengths": POST + b"content-length: 0\r\ncontent-length: 19\r\n\r\n" + BODY,
    "two lengths in one": POST + b"content-length: 0, 19\r\n\r\n" + BODY,
    "a negative length": POST + b"content-length: -1\r\n\r\n" + BODY,
    "a length with a sign": POST + b"content-length: +19\r\n\r\n" + BODY,
    "a length in hexadecimal": POST + b"content-length: 0x13\r\n\r\n" + BODY,
    "a length beyond numbers": POST + b"content-length: 99999999999999999999999\r\n\r\n" + BODY,
    "a bad chunk size": POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a negative chunk": POST + b"transfer-encoding: chunked\r\n\r\n-13\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk beyond numbers": POST + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + BODY,
    "an unknown transfer": POST + b"transfer-encoding: xchunked\r\n\r\n13\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a space before the colon": POST + b"content-length : 19\r\n\r\n" + BODY,
    "a folded header": POST + b"content-length:\r\n 19\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + INNER,
    "a NUL in a header": POST + b"x-a: a\0b\r\ncontent-length: 19\r\n\r\n" + BODY,
    "a bare line feed": POST + b"x-a: a\rcontent-length: 0\r\ncontent-length: 19\r\n\r\n" + BODY,
    "no method": b" /api/v1/experiments HTTP/1.1\r\n" + HOST + b"\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
    "HTTP/9.9": b"GET /api/v1/runs HTTP/9.9\r\n" + HOST + b"\r\n",
    "raw bytes in the path": b"GET /api/v1/runs/\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the query": b"GET /api/v1/runs?limit=\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "two hosts": b"GET /api/v1/runs HTTP/1.1\r\nhost: evil.example\r\n" + HOST + b"\r\n",
    "two hosts the other way": b"GET /api/v1/runs HTTP/1.1\r\n" + HOST + b"host: evil.example\r\n\r\n",
    "no host": b"GET /api/v1/runs HTTP/1.1\r\n\r\n",
    "a whole URL": b"GET http://evil.example/api/v1/runs HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "a tunnel": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: 169.254.169.254:80\r\n\r\n",
    "two origins": b"GET /api/v1/runs HTTP/1.1\r\n"
    + HOST
    + b"origin: http://evil.example\r\norigin: http://127.0.0.1\r\n\r\n",
}


def _connect(url: str) -> socket.socket:
    at = urlsplit(url)
    return socket.create_connection((at.hostname or "", at.port or 0), timeout=PATIENCE_S)


def converse(url: str, content: bytes) -> bytes:
    """Everything that comes back until the server is silent for a moment, or closes."""
    held = b""
    with contextlib.closing(_connect(url)) as line:
        line.sendall(content)
        line.settimeout(0.3)
        with contextlib.suppress(TimeoutError, OSError):
            while part := line.recv(65536):
                held += part
    return held


@pytest.mark.parametrize("case", CONFLICTS)
def test_what_can_be_read_in_two_ways_is_refused(case: str, world: World, attacker: Attacker) -> None:
    assert attacker.database is not None
    before = attacker.database.version()
    answer = converse(world.url, CONFLICTS[case])
    assert attacker.database.version() == before, answer
    statuses = [int(part.split()[0]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert len(statuses) <= 1 and all(400 <= status < 500 for status in statuses), answer
    assert b"Traceback" not in answer and str(world.home).encode() not in answer


def test_headers_without_end_are_cut_off(world: World, attacker: Attacker) -> None:
    with contextlib.closing(_connect(world.url)) as line:
        line.sendall(b"GET /api/v1/runs HTTP/1.1\r\n" + HOST)
        with pytest.raises(OSError):  # the line is cut somewhere on the way
            for number in range(20_000):
                line.sendall(b"x-%d: " % number + b"a" * 1000 + b"\r\n")
            raise AssertionError("the server took 20 MB of headers")


def test_slow_clients_keep_nobody_waiting(world: World, attacker: Attacker) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(60):
            line = stack.enter_context(contextlib.closing(_connect(world.url)))
            line.sendall([b"GET /api", POST, POST + b"content-length: 1000\r\n\r\n{"][number % 3])
        attacker.attack("GET", "/api/v1/runs")


def test_a_client_that_vanishes_leaves_nothing_behind(world: World, attacker: Attacker) -> None:
    assert attacker.database is not None
    before = attacker.database.version()
    for content in (POST, POST + b"content-length: 19\r\n\r\n" + BODY[:10], b"GET /live HTTP/1.1\r\n" + HOST + b"\r\n"):
        for _ in range(5):
            with contextlib.closing(_connect(world.url)) as line:
                line.sendall(content)
    assert attacker.database.version() == before

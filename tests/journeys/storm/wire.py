"""Raw HTTP that knows what became of a request: it was answered, it was refused, or nobody can say."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections import Counter
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from patience import PATIENCE_S

MLFLOW = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/"
UNKNOWN = b"may or may not have happened"  # in an answer of a server that cannot find out


class Fate(Enum):
    """What became of a write."""

    DONE = "done"
    REFUSED = "refused"  # nothing was changed
    UNKNOWN = "unknown"  # the connection broke before an answer came


class Answer:
    """What came back.

    Attributes:
        fate: of the write.
        status: 0 where no answer came.
        body: of the answer.
        headers: of the answer.
    """

    def __init__(self, fate: Fate, status: int = 0, body: bytes = b"", headers: Any = None) -> None:
        self.fate = fate
        self.status = status
        self.body = body
        self.headers = headers

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Wire:
    """One connection to a server that may die at any moment; each request is sent once.

    Attributes:
        statuses: how often each status came; 0 counts what was never answered.
        wrong: answers that no client should ever get.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """A call of MLflow's protocol; a path that begins with a slash stands as it is."""
        path = path if path.startswith("/") else MLFLOW + path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path, json.dumps(body).encode(), {"content-type": "application/json"} | named)

    def get(self, path: str, /, **query: Any) -> Answer:
        """Read something: asked again until there is an answer."""
        path = path if path.startswith("/") else MLFLOW + path
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.send("GET", f"{path}?{urlencode(query, doseq=True)}" if query else path)
            if answer.status not in (0, 503, 507):
                return answer
            assert time.monotonic() < deadline, f"{path} is not answered: {answer.body!r}"
            time.sleep(0.02)

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Send a request, once there is somebody to send it to, and say what became of it."""
        connection = self._connect()
        try:
            connection.request(method, path, body or None, headers or {})
            got = connection.getresponse()
            answer = Answer(Fate.DONE, got.status, got.read(), got.headers)
        except (OSError, http.client.HTTPException):
            self.close()
            answer = Answer(Fate.UNKNOWN)
        self.statuses[answer.status] += 1
        if answer.status >= 400:
            answer.fate = Fate.UNKNOWN if UNKNOWN in answer.body else Fate.REFUSED
            if answer.status in (500, 502, 504) or not _is_structured(answer):
                self.wrong.append(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer

    def send_torn(self, method: str, path: str, body: bytes, cut: int) -> None:
        """Begin to send a body, and hang up after `cut` bytes of it."""
        self.close()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 60) as wire:
            wire.sendall(head.encode() + body[:cut])

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        deadline = time.monotonic() + PATIENCE_S
        while self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
            try:
                connection.connect()
            except OSError:
                assert time.monotonic() < deadline, "the server does not come back"
                time.sleep(0.01)
            else:
                assert connection.sock is not None
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connection = connection
        return self._connection


def _is_structured(answer: Answer) -> bool:
    """Whether a refusal says what it is in the form of the protocol."""
    try:
        told = answer.json()
    except ValueError:
        return False
    return bool(told.get("error_code") and told.get("message"))


class Stop(threading.Event):
    """Tells writers to end; what one of them fails with is kept for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[BaseException] = []

"""Sends one request after another, and holds each answer against what is promised of every answer."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httptools

from hostile.wire import Reply, Wire
from hostile.world import Database, World

MOST_S = 30.0  # a busy machine's pause is no fault, and what grows without end takes longer
_LEAKS = re.compile(
    r"Traceback|File \"|site-packages|\.py\b|object at 0x|sqlalchemy|sqlite3?\.|\[SQL|INSERT INTO|SELECT .* FROM|"
    r"UPDATE .* SET|psycopg|starlette|uvicorn|msgspec|polars\.|numpy\.|sklearn\.|/venv/|/usr/lib",
    re.IGNORECASE,
)


@dataclass
class Attacker:
    """One client of a server, with one connection that it keeps.

    Attributes:
        sent: requests so far.
        secrets: texts that no answer may hold, such as the server's folder.
        readers: paths that are read after each change; what was taken in must not break them.
        faults: what was wrong so far.
    """

    url: str
    database: Database | None = None
    secrets: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    sent: int = 0
    faults: list[str] = field(default_factory=list)
    _wire: Wire | None = None

    @classmethod
    def of(cls, world: World, database: Database) -> "Attacker":
        """Against a whole server; its database is watched."""
        return cls(world.url, database, (str(world.home),))

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """One request as it stands, nothing in it made tidy."""
        headers = {"content-type": "application/json"} | (headers or {})
        try:
            reply = self._connect().exchange(method, path, body, headers)
        except (httptools.HttpParserError, OSError):  # a kept connection may have ended since its last answer
            self.close()
            reply = self._connect().exchange(method, path, body, headers)
        self.sent += 1
        return reply

    def attack(
        self,
        method: str,
        path: str,
        body: Any = b"",
        headers: dict[str, str] | None = None,
        *,
        refused: bool = False,
        case: str = "",
    ) -> Reply | None:
        """Send, and note what is wrong with the answer.

        Args:
            method: HTTP's.
            path: with its query, as it goes over the wire.
            body: bytes, or what becomes JSON.
            headers: on top of the content type.
            refused: only a 4xx is right.
            case: what this is about, for the report.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        before = self.database.version() if self.database else 0
        told = f"{method} {path[:160]} {case} {content[:160]!r}"
        try:
            reply = self.send(method, path, content, headers)
        except (httptools.HttpParserError, OSError) as error:
            self.close()
            self.faults.append(f"{told}: no answer ({type(error).__name__})")
            return None
        self.faults += [f"{told}: {fault}" for fault in self._judge(reply, method, refused)]
        changed = self.database is not None and self.database.version() != before
        if changed and reply.status >= 400:
            self.faults.append(f"{told}: {reply.status}, and yet the database changed")
        if changed and self.database is not None:
            self._read_back(told)
            self.database.restore()
        return reply

    def _read_back(self, told: str) -> None:
        """What was taken in has to be readable: nothing may poison what others read."""
        for path in self.readers:
            reply = self.send("GET", path)
            if reply.status >= 500 or reply.status == 422:
                self.faults.append(f"{told}: taken, and then GET {path} gives {reply.status} {reply.body[:200]!r}")

    def finish(self) -> None:
        """Fail with everything that was wrong; the server has to be well."""
        reply = self.send("GET", "/health")
        if reply.status != 200:
            self.faults.append(f"the server is no longer healthy: {reply.status} {reply.body[:200]!r}")
        assert not self.faults, f"{len(self.faults)} of {self.sent}:\n" + "\n".join(self.faults[:30])

    def close(self) -> None:
        """Let go of the connection."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None

    def _connect(self) -> Wire:
        if self._wire is not None and not self._wire.is_open:
            self.close()
        if self._wire is None:
            self._wire = Wire(self.url)
        return self._wire

    def _judge(self, reply: Reply, method: str, refused: bool) -> list[str]:
        faults = []
        if refused and reply.status < 400:
            faults.append(f"{reply.status}, and should be refused")
        if reply.took_s > MOST_S:
            faults.append(f"took {reply.took_s:.1f} s")
        if reply.status >= 300:
            text = reply.body.decode("utf-8", "replace")
            if reply.status >= 500:
                faults.append(f"{reply.status} {text[:200]}")
            faults += _judge_refusal(text, reply, method)
            leak = _LEAKS.search(text)
            if leak:
                faults.append(f"{reply.status} shows {leak[0]!r}: {text[:300]}")
            faults += [f"{reply.status} shows {secret}" for secret in self.secrets if secret in text]
        return faults


def _judge_refusal(text: str, reply: Reply, method: str) -> list[str]:
    if method == "HEAD":
        return []
    try:
        told = json.loads(text)
    except ValueError:
        return [f"{reply.status} without a structured body: {text[:200]!r}"]
    is_coded = isinstance(told, dict) and told.get("error_code") and told.get("message")
    is_v2 = isinstance(told, dict) and isinstance(told.get("error"), str) and told["error"]
    return [] if is_coded or is_v2 else [f"{reply.status} without code and message: {text[:200]!r}"]

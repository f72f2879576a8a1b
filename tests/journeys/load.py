"""A load that does not wait: requests at fixed moments, whatever became of those before; each answer is remembered."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from urllib.parse import urlsplit

from msgspec import Struct

_REVISION = re.compile(rb'"revision":(\d+)')
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_WAIT = re.compile(rb"retry-after: (\d+)", re.IGNORECASE)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(Struct, frozen=True):
    """What came of a request. Times are of `time.monotonic()`."""

    sent_at: float
    asked_at: float  # when it was sent last
    came_at: float
    status: int  # 0: none came, not even at the second try
    revision: int  # 0: none answered
    broken: int = 0  # connections that broke under it
    shed: int = 0  # times that it was told to come again later
    problem: str = ""


class Load:
    """Sends so many requests, so many a second.

    A request that was on a connection which broke, as those that a killed process holds, is sent once more over a new
    one, as HTTP clients do; one that is answered 429 is sent again when Retry-After says, as a machine that is busy
    with other things may tell callers to wait. It failed when a second connection breaks, when none is to be had, when
    it was told to wait four times, or when the answer is anything else but 200.
    """

    def __init__(self, url: str, path: str, body: bytes, *, count: int, rate: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._count, self._rate = count, rate
        self._idle: list[Connection] = []
        self.answers: list[Answer] = []

    async def run(self, *moments: tuple[float, Callable[[], Coroutine[None, None, None]]]) -> None:
        """Send them all, and do something at some moments, each a share of the requests."""
        started = time.monotonic()
        begun: list[asyncio.Task[None]] = []
        waiting = sorted(moments, key=lambda moment: moment[0])
        for number in range(self._count):
            while waiting and number >= waiting[0][0] * self._count:
                begun.append(asyncio.create_task(waiting.pop(0)[1]()))
            ahead = started + number / self._rate - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            begun.append(asyncio.create_task(self._send()))
            if len(begun) > 5000:
                begun = [task for task in begun if not task.done() or task.result() is not None]
        await asyncio.gather(*begun)
        for _, writer in self._idle:
            writer.close()

    async def _send(self) -> None:
        sent_at, broken, shed = time.monotonic(), 0, 0
        while True:
            asked_at = time.monotonic()
            try:
                connection = self._idle.pop() if self._idle and not broken else await self._connect()
                status, wait_s, body = await self._ask(connection)
            except (OSError, asyncio.IncompleteReadError) as error:
                broken += 1
                if broken == 2:
                    self.answers.append(Answer(sent_at, asked_at, time.monotonic(), 0, 0, broken, shed, repr(error)))
                    return
                continue
            self._idle.append(connection)
            if status == 429 and shed < 3:
                shed += 1
                await asyncio.sleep(wait_s)
                continue
            found = _REVISION.search(body)
            told = "" if status == 200 else body[:200].decode(errors="replace")
            revision = int(found[1]) if found else 0
            self.answers.append(Answer(sent_at, asked_at, time.monotonic(), status, revision, broken, shed, told))
            return

    async def _connect(self) -> Connection:
        return await asyncio.open_connection(self._host, self._port)

    async def _ask(self, connection: Connection) -> tuple[int, float, bytes]:
        reader, writer = connection
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            assert length is not None, head
            wait = _WAIT.search(head)
            return int(head[9:12]), float(wait[1]) if wait else 0.0, await reader.readexactly(int(length[1]))
        except BaseException:
            writer.close()
            raise

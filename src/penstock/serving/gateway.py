"""The gateway: a bare ASGI application that answers predictions in several protocols from one routing table."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from penstock.core import failpoints
from penstock.core.clock import Clock, SystemClock
from penstock.core.errors import InvalidInputError, PenstockError, TooLargeError
from penstock.predictions.log import PredictionLog
from penstock.serving.batching import Batcher, BatchLimits
from penstock.serving.caller_ids import answer_back, choose_caller_id
from penstock.serving.calls import Answer, Call
from penstock.serving.encodings import unpack_body
from penstock.serving.http import (
    BodyTimeoutError,
    Headers,
    HttpAnswer,
    HttpRequest,
    MethodNotAllowedError,
    OverloadedError,
    headers_of,
)
from penstock.serving.live import LiveDeployment, RoutingTable
from penstock.serving.metrics import Counts, GatewayMetrics, SharedCounts, add_counts
from penstock.serving.parts import Job
from penstock.serving.predictor import Predictor
from penstock.serving.protocols.invocations import InvocationsProtocol
from penstock.serving.protocols.plain import PlainProtocol
from penstock.serving.protocols.prometheus import PrometheusProtocol
from penstock.serving.protocols.protocol import ServingProtocol, not_found
from penstock.serving.protocols.ready import ReadyProtocol
from penstock.serving.protocols.recommend import RecommendProtocol
from penstock.serving.protocols.v1 import KServeProtocol
from penstock.serving.protocols.v2 import OpenInferenceProtocol
from penstock.serving.shadow import Copy, ShadowLimits, ShadowRunner

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PLAIN = PlainProtocol()
_V2 = OpenInferenceProtocol()
_PROTOCOLS: tuple[ServingProtocol, ...] = (_PLAIN, _V2, InvocationsProtocol(), KServeProtocol(), RecommendProtocol())


DEADLINE_HEADER = b"x-penstock-deadline-ms"
_MOST_PATHS = 1_000  # that are remembered


class GatewayLimits(BatchLimits, frozen=True, kw_only=True):
    """What one gateway takes on."""

    body_bytes: int = 8 * 1024 * 1024
    body_timeout_s: float = 30.0
    requests: int = 4_000  # under way at once; more are answered 429
    bytes_held: int = 64 * 1024 * 1024  # of bodies under way at once
    deadline_ms: float = 30_000.0  # of a request that names none
    threads: int = 4  # for batches that would keep the others waiting
    inline_bytes: int = 128 * 1024  # of a body; larger ones are read on a thread
    shadow: ShadowLimits = ShadowLimits()


class Gateway:
    """Answers predictions. An ASGI application; a request sees one routing table from its beginning to its end.

    Args:
        segments: the prediction log; each answer is in it before it is sent.
        clock: event time of requests that name none.
        limits: what it takes on.
        also: protocols beside those that every gateway speaks.
        shared: where it and the other processes of one gateway tell each other what they counted.
    """

    def __init__(
        self,
        segments: PredictionLog,
        *,
        clock: Clock | None = None,
        limits: GatewayLimits | None = None,
        also: Sequence[ServingProtocol] = (),
        shared: SharedCounts | None = None,
    ) -> None:
        self.limits = limits or GatewayLimits()
        self._table = self._cautious = RoutingTable()
        self._trusted_until = math.inf
        self._pool = ThreadPoolExecutor(self.limits.threads, thread_name_prefix="penstock-predict")
        self._predictor = Predictor(segments, clock or SystemClock())
        self._batcher = Batcher(self._predictor.answer, self._pool, self.limits)
        self._shadows = ShadowRunner(segments, self.limits.shadow, lambda: self._under_way == 0)
        self._metrics = GatewayMetrics()
        self._shared = shared
        looks = (PrometheusProtocol(self._read_counts, segments.folder), ReadyProtocol(segments.folder))
        self._protocols = (*_PROTOCOLS, *looks, *also)
        self._segments = segments
        self._paths: dict[str, tuple[ServingProtocol, tuple[str, ...]]] = {}
        self._is_stopping = False
        self._under_way = 0
        self._bytes_held = 0

    @property
    def table(self) -> RoutingTable:
        """What is served now."""
        return self._table

    @property
    def dropped_copies(self) -> int:
        """Rows that a revision in the shadow was not asked, as there was no room for them."""
        return self._shadows.dropped

    def swap(self, table: RoutingTable) -> None:
        """Serve another table from the next request on; those under way end with the one they began with."""
        failpoints.hit("serving.gateway_swap")
        self._cautious = table.without_candidates()
        self._table = table
        self._shadows.forget([held.shadow for held in table.deployments.values() if held.shadow is not None])

    def trust(self, until: float) -> None:
        """Until this moment of `time.perf_counter()` candidates get their share; then the stable revisions get it all.

        Whoever follows the routing says so again and again: a gateway that hears nothing more, or was stopped for a
        while, may not know that a candidate was aborted.
        """
        self._trusted_until = until

    def stop(self) -> None:
        """End what goes on beside the requests; call it when none comes any more."""
        self._shadows.stop()

    def begin_stop(self) -> None:
        """From now on it says that it is not ready; predictions are answered still."""
        self._is_stopping = True

    def share_counts(self) -> bool:
        """Tell the other processes what was counted so far; there is never more to do at once."""
        if self._shared is not None:
            self._shared.write(self._read_own())
        return False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Take one connection event of ASGI."""
        if scope["type"] == "http":
            return self._serve(scope, receive, send)
        if scope["type"] == "lifespan":
            return _live(receive, send)
        return send({"type": "websocket.close", "code": 1003})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        path = scope["path"]
        protocol, methods = self._paths.get(path) or self._find_protocol(path)
        try:
            answer = await self._answer(scope, receive, path.rstrip("/") or path, protocol, methods, started)
        except PenstockError as error:
            answer = protocol.refuse(error)
        except _GoneError:
            return
        except Exception:  # the outermost loop of a request
            log.exception("a request failed", extra={"path": path})
            answer = protocol.refuse(PenstockError("the gateway failed", hint="see its log"))
        await send(_head(answer))
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        path: str,
        protocol: ServingProtocol,
        methods: tuple[str, ...],
        started: float,
    ) -> HttpAnswer:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if not methods:
            raise not_found(path)
        if method not in methods:
            raise MethodNotAllowedError(scope["method"], path, ", ".join(methods))
        headers = headers_of(scope)
        if method == "GET":
            shown = RoutingTable(self._table.number) if self._is_stopping else self._table
            return protocol.look(HttpRequest(method, path, headers), shown)
        if self._under_way >= self.limits.requests or self._bytes_held >= self.limits.bytes_held:
            raise OverloadedError(f"{self._under_way} requests are under way", hint="try again in a second")
        self._under_way += 1
        size, name = 0, ""
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body") or message["type"] == "http.disconnect":
                body = await self._read_rest(_take(message), headers, receive)
            if len(body) > self.limits.body_bytes:
                raise self._too_large()
            encoding = headers.get(b"content-encoding")
            if encoding is not None:
                body = unpack_body(body, encoding, self.limits.body_bytes)
            size = len(body)
            self._bytes_held += size
            call = protocol.read(HttpRequest(method, path, headers, body))
            deadline = started + _read_limit_ms(headers, self.limits.deadline_ms) / 1000
            table = self._table if started < self._trusted_until else self._cautious
            live = table.get(call.deployment) if call.deployment else table.get_only()
            name = live.name
            caller_id = choose_caller_id(call.caller_id, headers)
            if size > self.limits.inline_bytes:
                answer, told = await self._predict_aside(protocol, live, call, started, deadline, caller_id, size)
            else:
                job = self._predictor.prepare(live, call, started, deadline, caller_id)
                await self._batcher.submit(job)
                answer = self._collect(job, size)
                told = protocol.write(call, answer)
            self._metrics.count_request(name, told.status, time.perf_counter() - started)
            told.headers.update(answer_back(headers, answer.predictions[0].id))
            return told
        except PenstockError as error:
            self._metrics.count_request(name, error.http_status, time.perf_counter() - started)
            raise
        finally:
            self._under_way -= 1
            self._bytes_held -= size

    async def _predict_aside(
        self,
        protocol: ServingProtocol,
        live: LiveDeployment,
        call: Call,
        started: float,
        deadline: float,
        caller_id: str,
        size: int,
    ) -> tuple[Answer, HttpAnswer]:
        """The same with the reading and writing on threads, as large bodies would keep the others waiting."""
        loop = asyncio.get_running_loop()
        job = await loop.run_in_executor(self._pool, self._predictor.prepare, live, call, started, deadline, caller_id)
        await self._batcher.submit(job)
        answer = self._collect(job, size)
        return answer, await loop.run_in_executor(self._pool, protocol.write, call, answer)

    def _collect(self, job: Job, size: int) -> Answer:
        """The answer to a job, counted; a revision in the shadow gets a copy of it."""
        shadow, parts = job.live.shadow, job.parts
        answer = job.collect()
        for part in parts:
            self._metrics.count_rows(job.live.name, part.revision.route.number, part.count, part.fallbacks)
        if shadow is not None and job.call.version is None:
            (part,) = parts  # there is no candidate beside a shadow
            self._shadows.offer(
                Copy(job.live, shadow, job.call, part.rows, list(part.keys), job.at_us, answer.ids, size)
            )
        return answer

    def _find_protocol(self, path: str) -> tuple[ServingProtocol, tuple[str, ...]]:
        """Who speaks for a path, and the methods it takes there; remembered."""
        found = self._speak_for(path.rstrip("/") or path)
        if len(self._paths) >= _MOST_PATHS:
            self._paths.clear()
        self._paths[path] = found
        return found

    def _speak_for(self, path: str) -> tuple[ServingProtocol, tuple[str, ...]]:
        for protocol in self._protocols:
            methods = protocol.find_methods(path)
            if methods:
                return protocol, methods
        return (_V2 if path.startswith("/v2/") else _PLAIN), ()

    def _read_own(self) -> Counts:
        return self._metrics.read(self._under_way, self.dropped_copies, len(self._segments.list_closed()))

    def _read_counts(self) -> Counts:
        others = self._shared.read_others() if self._shared is not None else []
        return add_counts([self._read_own(), *others])

    async def _read_rest(self, first: bytes, headers: Headers, receive: Receive) -> bytes:
        """The whole of a body that comes in several pieces."""
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.limits.body_bytes:
            raise self._too_large()
        chunks, size = [first], len(first)
        try:
            async with asyncio.timeout(self.limits.body_timeout_s):
                while size <= self.limits.body_bytes:
                    message = await receive()
                    chunks.append(_take(message))
                    size += len(chunks[-1])
                    if not message.get("more_body"):
                        break
        except TimeoutError as error:
            raise BodyTimeoutError(f"the body took longer than {self.limits.body_timeout_s:g} s") from error
        return b"".join(chunks)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"the body is larger than {self.limits.body_bytes} bytes", hint="send the rows in several requests"
        )


class _GoneError(Exception):
    """The client went away before its request was whole."""


def _read_limit_ms(headers: Headers, longest_ms: float) -> float:
    """How long the caller gives the answer.

    Raises:
        InvalidInputError: the header holds no number of milliseconds.
    """
    given = headers.get(DEADLINE_HEADER)
    if given is None:
        return longest_ms
    if not (given.isdigit() and len(given) < 10):
        name = DEADLINE_HEADER.decode()
        raise InvalidInputError(
            f"the header {name} holds {given[:50].decode('latin-1')!r}, which is no number of milliseconds",
            hint="send a whole number, such as 250",
            field=name,
        )
    return min(float(given), longest_ms)


def _take(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise _GoneError
    body: bytes = message.get("body", b"")
    return body


def _head(answer: HttpAnswer) -> Message:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-content-type-options", b"nosniff"),
        *answer.headers.items(),
    ]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

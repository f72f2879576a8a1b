"""One operation of the protocol as data, and what its handler is given."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from penstock.catalogue.services import Services
from penstock.core.identity import Actor, Role
from penstock.storage.database import Database
from penstock.storage.records import RecordKind
from penstock.storage.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
API_2, API_3 = "2.0", "3.0"


class Call:
    """What a handler works with: the services, who asks, and the request itself.

    Attributes:
        services: of this server.
        actor: who asks; every write of the call is recorded as theirs.
        scope: the request as ASGI has it.
        receive: gives its body, for handlers that stream; a JSON body has been read already.
        path: the parameters in the endpoint's path.
    """

    def __init__(self, services: Services, actor: Actor, scope: Scope, receive: Receive, path: dict[str, str]) -> None:
        self.services = services
        self.actor = actor
        self.scope = scope
        self.receive = receive
        self.path = path

    @cached_property
    def http(self) -> Request:
        """The request itself."""
        return Request(self.scope, self.receive)

    async def read(self, fn: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run something that only reads on a snapshot, on a thread of its own: `call.read(verb.join, ...)`."""
        return await run_in_threadpool(self._read, lambda tx: fn(tx, *args, **kwargs))

    def write(
        self, fn: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> "asyncio.Future[R]":
        """Run something in one transaction; done after its commit: `await call.write(verb.join, ...)`."""
        return self._db.submit_async(lambda tx: fn(tx, *args, **kwargs), actor=self.actor)

    def add(self, kind: RecordKind[T], record: T) -> "asyncio.Future[Any]":
        """Add a record; done after its commit."""
        return self.services.tracking.db.add_async(kind, record, actor=self.actor)

    @property
    def _db(self) -> Database:
        return self.services.tracking.db

    def _read(self, fn: Callable[[Transaction], R]) -> R:
        with self._db.snapshot(self.actor) as tx:
            return fn(tx)


Handler = Callable[[Call, Any], Awaitable[Struct | Response | None]]


class Endpoint(Struct, frozen=True):
    """One operation of the protocol.

    The query of a GET, else the JSON body, is decoded into `request`; a field that stands in the path (`{name}`, or
    `{name:path}` for one with slashes) is taken from there. The handler's answer is sent as JSON; None is an
    empty object. A handler without a request record reads `call.http` itself.
    """

    method: str
    path: str  # below /api/2.0/mlflow/ and /ajax-api/2.0/mlflow/; one that begins with a slash stands as it is
    handle: Handler
    needs: Role
    request: type[Struct] | None = None
    versions: tuple[str, ...] = (API_2,)

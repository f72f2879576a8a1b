"""Verbs: methods of a service that run in a transaction of their own, or join one that is open.

A service declares `@writes` or `@reads` on `def verb(self, tx, ...)`. `service.verb(...)` then runs it in its own
transaction; `service.verb.join(tx, ...)` makes it part of a running one. The same object names the operation in the
route table, so a remote proxy has exactly the same methods.
"""

import inspect
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property, partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, get_type_hints, overload

import msgspec

from penstock.core import codec
from penstock.core.identity import Actor
from penstock.core.ids import Ref
from penstock.core.routes import Route
from penstock.storage.database import Database
from penstock.storage.idempotency import answer_once
from penstock.storage.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")


class Service(Protocol):
    """What a class with verbs offers to them."""

    noun: str  # names its audit actions: `registry` gives `registry.move_alias`
    db: Database


class Verb(Generic[P, R]):
    """One operation of a service: its function, and whether it reads, writes, and leaves an audit entry."""

    def __init__(
        self,
        fn: Callable[..., R],
        *,
        is_read: bool,
        audited: bool,
        is_repeatable: bool = False,
        keeps_answer: bool = True,
    ) -> None:
        self.fn = fn
        self.name = fn.__name__
        self.doc = inspect.getdoc(fn) or ""
        self.is_read = is_read
        self.audited = audited
        self.is_repeatable = is_read or is_repeatable  # calling it twice is as good as once, without any key
        self.keeps_answer = keeps_answer  # under its idempotency key

    @overload
    def __get__(self, service: None, owner: type) -> "Verb[P, R]": ...
    @overload
    def __get__(self, service: Service, owner: type) -> "BoundVerb[P, R]": ...
    def __get__(self, service: Service | None, owner: type) -> "Verb[P, R] | BoundVerb[P, R]":
        return self if service is None else BoundVerb(self, service)

    @cached_property
    def arguments(self) -> type[msgspec.Struct]:
        """A record of the verb's arguments; decoding a request into it checks names and types."""
        hints = self._hints
        fields: list[Any] = []
        for parameter in self.signature.parameters.values():
            field = (parameter.name, hints[parameter.name])
            fields.append(field if parameter.default is parameter.empty else (*field, parameter.default))
        return msgspec.defstruct(self.name, fields, kw_only=True, forbid_unknown_fields=True)

    @cached_property
    def returns(self) -> Any:
        """The type of the answer."""
        return self._hints["return"]

    @cached_property
    def signature(self) -> inspect.Signature:
        """The arguments as a caller sees them: without the service and the transaction."""
        whole = inspect.signature(self.fn)
        return whole.replace(parameters=list(whole.parameters.values())[2:])

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.fn)


class BoundVerb(Generic[P, R]):
    """A verb of one service object."""

    def __init__(self, verb: Verb[P, R], service: Service) -> None:
        self.verb = verb
        self.service = service

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run in a transaction of its own; returns after the commit."""
        if self.verb.is_read:
            return self.service.db.read(self.join, *args, **kwargs)
        return self.service.db.write(self.join, *args, **kwargs)

    def join(self, tx: Transaction, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run as a part of a transaction that is open."""
        before = len(tx.entries)
        result: R = self.verb.fn(self.service, tx, *args, **kwargs)
        if self.verb.audited and len(tx.entries) == before:
            given = self.verb.signature.bind(*args, **kwargs).arguments
            tx.record(f"{self.service.noun}.{self.verb.name}", Ref(self.service.noun, "-"), **codec.to_builtins(given))
        return result

    def run_as(self, actor: Actor, arguments: msgspec.Struct, *, key: str = "") -> "Future[R]":
        """Run for an actor; with an idempotency key a repeated call gives the first call's answer and changes nothing.

        Args:
            actor: who asks.
            arguments: an instance of the verb's own `arguments` record.
            key: chosen by the caller, unique to this one intention; empty for none.
        """
        given = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        work: Callable[[Transaction], R] = partial(self._join_keywords, given)
        if self.verb.is_read:
            done: Future[R] = Future()
            with self.service.db.snapshot(actor) as tx:
                done.set_result(work(tx))
            return done
        if key and self.verb.keeps_answer:
            scope = f"{self.service.noun}.{self.verb.name}"
            work = partial(answer_once, key=key, scope=scope, arguments=given, work=work, returns=self.verb.returns)
        return self.service.db.submit(work, actor=actor)

    def _join_keywords(self, given: dict[str, Any], tx: Transaction) -> R:
        return self.join(tx, **given)  # type: ignore[call-arg]  # checked when `arguments` was decoded


def reads(fn: Callable[Concatenate[Any, Transaction, P], R]) -> Verb[P, R]:
    """Declare a verb that only reads."""
    return Verb(fn, is_read=True, audited=False)


def writes(fn: Callable[Concatenate[Any, Transaction, P], R]) -> Verb[P, R]:
    """Declare a verb that changes state; where it records no audit entry itself, one with its arguments is written."""
    return Verb(fn, is_read=False, audited=True)


def issues(fn: Callable[Concatenate[Any, Transaction, P], R]) -> Verb[P, R]:
    """Declare a verb that changes state and answers with a secret: the answer is kept under no idempotency key."""
    return Verb(fn, is_read=False, audited=True, keeps_answer=False)


def logs(fn: Callable[Concatenate[Any, Transaction, P], R]) -> Verb[P, R]:
    """Declare a verb that adds facts (leases, heartbeats, steps) and is harmless to repeat; it is not audited."""
    return Verb(fn, is_read=False, audited=False, is_repeatable=True)


def adds(fn: Callable[Concatenate[Any, Transaction, P], R]) -> Verb[P, R]:
    """Declare a verb that adds facts anew at each call; over HTTP a key tells a repeated call from a new one."""
    return Verb(fn, is_read=False, audited=False)


def verb_of(route: Route) -> Verb[Any, Any]:
    """The verb that a route leads to."""
    if not isinstance(route.verb, Verb):
        raise TypeError(f"{route.method} {route.path} leads to {route.verb!r}, which is no verb")
    return route.verb

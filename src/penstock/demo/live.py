"""A running penstock as a demo drives it: HTTP to the gateway, services through the server."""

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.core.errors import ConflictError, NotFoundError, UnavailableError
from penstock.demo.port import EpisodeLine, Tell
from penstock.loop.types import Decision, Episode, LoopState
from penstock.predictions.types import Outcome
from penstock.registry.loading import lay_out

T = TypeVar("T")

CONNECTIONS = 6
PATIENCE_S = 120.0  # for processes that were killed and come back
SETTLE_S = 900.0  # the longest that training and judging may take
ARRIVE_S = 60.0  # until the predictions of the last request lie in the store
PAUSE_S = 0.1
OUTCOMES_AT_ONCE = 500


class Handle(Struct, frozen=True):
    """Where a running penstock is found."""

    services: Services
    gateway_url: str
    page_url: str
    cache: Path  # a folder for model directories
    token: str = ""  # shown to the gateway, where one is asked for


class LivePenstock:
    """One project: releases its first model, asks it, tells outcomes, and waits until the loop has done what it can.

    Every call is repeated while a process is away: requests are safe to repeat, and the services know a repeated call
    by its key.

    Args:
        handle: where it is found.
        project: its name.
    """

    def __init__(self, handle: Handle, project: str) -> None:
        self.page_url = handle.page_url
        self.project = project
        self._services = handle.services
        self._cache = handle.cache
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        headers = {"authorization": f"Bearer {handle.token}"} if handle.token else {}
        self._http = httpx.Client(
            base_url=handle.gateway_url, headers=headers, limits=limits, timeout=30.0, trust_env=False
        )
        self._threads = ThreadPoolExecutor(CONNECTIONS)
        self._told = 0  # decisions of the newest episode that were told
        self._telling = ""  # that episode

    def close(self) -> None:
        """End the connections to the gateway; the services belong to whoever opened them."""
        self._threads.shutdown()
        self._http.close()

    def release_first(self, tell: Tell) -> None:
        """Open an episode where no model was released yet, and wait until its model answers."""
        if self._first_release() is None:
            tell("the first model is trained: data version, pipeline, evaluation, gates, registry, release")
            with contextlib.suppress(ConflictError):  # an interrupted demo left one open
                self._insist(lambda: self._services.loop.open_episode(self.project, "the demo's first model"))
            self.wait_settled(tell)
        if self._first_release() is None:
            last = self._episodes()[-1]
            raise ConflictError(
                f"the first model was not released: episode {last.number} is {last.state}: {last.summary}",
                hint=f"see {self.page_url}",
            )
        ready = f"/v2/models/{self.project}/ready"
        self._wait(lambda: self._http.get(ready).is_success, "the gateway to serve the model")

    def fetch_first(self) -> Path:
        """The directory of the first released version, checked byte for byte."""
        first = self._first_release()
        if first is None:
            raise NotFoundError(f"no version of {self.project!r} was released yet")
        version = self._insist(lambda: self._services.registry.get_version(self.project, first))
        return lay_out(self._services.objects, version.get_tree(), self._cache)

    def ask(self, bodies: Sequence[dict[str, Any]]) -> list[bytes]:
        """The answers to some requests, sent one by one over a few connections, in the same order."""
        return list(self._threads.map(self._ask, bodies))

    def add_outcomes(self, outcomes: list[Outcome]) -> None:
        """Post them in parts; repeating changes nothing."""
        for start in range(0, len(outcomes), OUTCOMES_AT_ONCE):
            part = outcomes[start : start + OUTCOMES_AT_ONCE]
            self._insist(lambda part=part: self._services.predictions.add_outcomes(part))  # type: ignore[misc]

    def wait_settled(self, tell: Tell) -> str:
        """Wait until all predictions have arrived and the controller finds nothing to do; tell what it does."""
        arrived = time.monotonic() + ARRIVE_S
        while self._insist(self._services.predictions.count_unmatched) and time.monotonic() < arrived:
            time.sleep(PAUSE_S)
        deadline = time.monotonic() + SETTLE_S
        while True:
            state: LoopState = self._insist(lambda: self._services.loop.get_state(self.project))
            self._tell_decisions(tell)
            if state.settled:
                return state.waiting_for
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"the loop still waits for {state.waiting_for} after {SETTLE_S:.0f} s",
                    hint=f"see {self.page_url} and the logs; run the demo again to go on",
                )
            time.sleep(PAUSE_S)

    def list_episodes(self) -> list[EpisodeLine]:
        """All episodes, oldest first."""
        return [self._line(episode) for episode in self._episodes()]

    def _line(self, episode: Episode) -> EpisodeLine:
        story = self._insist(lambda: self._services.loop.get_episode(episode.id))
        judged = [decision.reason for decision in story.decisions if decision.action in ("pass", "refuse")]
        return EpisodeLine(
            number=episode.number,
            trigger=episode.trigger,
            state=episode.state,
            at=episode.as_of,
            version=episode.version,
            reason=episode.reason,
            summary=episode.summary,
            gates=judged[0] if judged else "",
        )

    def _first_release(self) -> int | None:
        return next((episode.version for episode in self._episodes() if episode.state == "promoted"), None)

    def _episodes(self) -> list[Episode]:
        found: list[Episode] = self._insist(lambda: self._services.loop.list_episodes(self.project, limit=1000))
        return sorted(found, key=lambda episode: episode.number)

    def _tell_decisions(self, tell: Tell) -> None:
        newest = self._insist(lambda: self._services.loop.list_episodes(self.project, limit=1))
        if not newest:
            return
        episode = newest[0]
        if episode.id != self._telling:
            self._telling, self._told = episode.id, 0
        story = self._insist(lambda: self._services.loop.get_episode(episode.id))
        for decision in story.decisions[self._told :]:
            tell(_describe(episode, decision))
        self._told = len(story.decisions)

    def _ask(self, body: dict[str, Any]) -> bytes:
        content = msgspec.json.encode(body)

        def post() -> httpx.Response:
            response = self._http.post(f"/predict/{self.project}", content=content)
            if response.status_code in (429, 502, 503, 504):
                raise UnavailableError(f"the gateway answered {response.status_code}: {response.text[:300]}")
            return response

        response: httpx.Response = self._insist(post)
        if response.is_error:
            raise ConflictError(f"the gateway answered {response.status_code}: {response.text[:300]}")
        return response.content

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        def check() -> None:
            if not holds():
                raise UnavailableError(f"waited in vain for {what}")

        self._insist(check)

    def _insist(self, call: Callable[[], T]) -> T:
        """The call's result; repeated while a process is away."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call()
            except (UnavailableError, httpx.TransportError) as error:
                if time.monotonic() > deadline:
                    if isinstance(error, httpx.TransportError):
                        raise UnavailableError(f"no answer from {self._http.base_url}: {error}") from error
                    raise
            time.sleep(PAUSE_S)


def _describe(episode: Episode, decision: Decision) -> str:
    return f"episode {episode.number} · {decision.action}: {decision.reason}"

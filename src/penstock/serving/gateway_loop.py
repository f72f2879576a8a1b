"""The gateway's other half, on a thread of its own: follow the routing, load models, swap, ship segments, report."""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from penstock.core.clock import Clock, SystemClock
from penstock.core.errors import UnavailableError
from penstock.core.ids import Digest
from penstock.predictions.segment_log import SegmentLog
from penstock.registry.loading import close_model
from penstock.serving.gateway import Gateway
from penstock.serving.live import LiveDeployment, LiveRevision, RoutingTable, ServableModel
from penstock.serving.port import GatewayPort
from penstock.serving.shipping import SegmentShipper
from penstock.serving.types import DeploymentRoute, GatewayReport, LoadFailure, RevisionRoute, Routing

log = logging.getLogger(__name__)

ModelOpener = Callable[[Digest], ServableModel]  # loads a model directory and checks its golden predictions
RETRY_AFTER_S = 30.0
REPORT_EVERY_S = 5.0
RETIRE_AFTER_S = 30.0  # a model that was swapped out still answers the requests that began with it


class _Failure(Struct, frozen=True):
    problem: str
    retry_at: float
    is_final: bool  # the model itself is at fault; otherwise its bytes could not be fetched just now


class GatewayLoop:
    """Keeps a gateway in step with the server, and serves on with what it has while the server is away.

    Args:
        gateway: gets a new table whenever the routing changed; its models are loaded and checked before.
        port: the server.
        segments: the prediction log; `stop` ships what is left of it and closes it.
        open_model: loads the model of a tree; it may take its time.
        folder: where the last routing is kept.
        name: of this gateway, in its reports.
        poll_s: how often the server is asked.
    """

    def __init__(
        self,
        gateway: Gateway,
        port: GatewayPort,
        segments: SegmentLog,
        open_model: ModelOpener,
        folder: Path,
        *,
        name: str = "gateway",
        poll_s: float = 0.5,
        clock: Clock | None = None,
    ) -> None:
        self.gateway = gateway
        self.name = name
        self._port = port
        self._segments = segments
        self._shipper = SegmentShipper(segments, port)
        self._open_model = open_model
        self._cache = folder / "routing.json"
        self._poll_s = poll_s
        self._clock = clock or SystemClock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-gateway-loop", daemon=True)
        self._routing = Routing()
        self._revisions: dict[tuple[str, int], LiveRevision] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        self._retired: list[tuple[float, LiveRevision]] = []  # and when each is closed
        self._reported_at = -REPORT_EVERY_S
        self._is_away = False
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Serve the routing of last time, if any, and go on from there in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, ship what is left, and close the prediction log. Call it when no request comes any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._segments.rotate()
        self._while_reachable(self._shipper.ship)
        self._segments.close()
        for revision in (*self._revisions.values(), *(held for _, held in self._retired)):
            close_model(revision.model)

    def step(self) -> None:
        """Do once what the thread does again and again."""
        self._while_reachable(self._follow, self._shipper.ship, self._report)
        self._close_retired()

    def restore(self) -> None:
        """Serve the routing of last time, less its candidates: they may be aborted since, so the server decides."""
        try:
            routing = msgspec.json.decode(self._cache.read_bytes(), type=Routing)
        except FileNotFoundError:
            return
        except msgspec.MsgspecError as error:
            log.warning("the routing of last time cannot be read: %s", error)
            return
        cautious = tuple(replace(route, candidate=None, share=0.0) for route in routing.deployments)
        self._apply(Routing(routing.number, cautious))
        self._routing = Routing()  # so that the server's word is taken, whatever its number

    def _run(self) -> None:
        self._guard(self.restore)
        while not self._stopped.is_set():
            self._guard(self.step)
            self._stopped.wait(self._poll_s)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the outermost loop: the gateway serves on, and the next round tries again
            log.exception("the gateway's loop failed")

    def _while_reachable(self, *work: Callable[[], None]) -> None:
        """Do these in turn; a server that is away ends it quietly until the next time."""
        try:
            for item in work:
                item()
        except (UnavailableError, OSError) as error:
            if not self._is_away:
                log.warning("the server is away, and the gateway goes on without it: %s", error)
            self._is_away = True
        else:
            self._is_away = False

    def _follow(self) -> None:
        routing = self._port.fetch_routing()
        now = time.monotonic()
        is_due = any(failure.retry_at <= now for failure in self._failures.values())
        if routing == self._routing and not is_due:
            return
        self._apply(routing)
        _write(self._cache, msgspec.json.encode(routing))
        self._reported_at = -REPORT_EVERY_S

    def _apply(self, routing: Routing) -> None:
        """Load what the routing names, then swap."""
        named = {(route.deployment, revision.number) for route in routing.deployments for revision in _named(route)}
        self._failures = {key: failure for key, failure in self._failures.items() if key in named}
        live = [self._load_deployment(route) for route in routing.deployments]
        table = RoutingTable(routing.number, {item.name: item for item in live if item is not None})
        self.gateway.swap(table)
        used = [revision for item in table.deployments.values() for revision in _loaded(item)]
        kept = {key: held for key, held in self._revisions.items() if any(held is item for item in used)}
        closed_at = time.monotonic() + RETIRE_AFTER_S
        self._retired += [(closed_at, held) for key, held in self._revisions.items() if key not in kept]
        self._revisions = kept
        self._routing = routing
        log.info("the gateway follows routing %d", routing.number, extra={"deployments": sorted(table.deployments)})

    def _close_retired(self) -> None:
        now = time.monotonic()
        for closed_at, revision in self._retired:
            if closed_at <= now:
                close_model(revision.model)
        self._retired = [held for held in self._retired if held[0] > now]

    def _load_deployment(self, route: DeploymentRoute) -> LiveDeployment | None:
        """The deployment with its models in memory; None when none of them can be loaded."""
        held = self.gateway.table.deployments.get(route.deployment)
        previous = self._load(route.deployment, route.previous)
        stable = self._load(route.deployment, route.stable) or (held.stable if held else None) or previous
        if stable is None:
            return None
        candidate = self._load(route.deployment, route.candidate)
        return LiveDeployment(route=route, stable=stable, candidate=candidate, previous=previous)

    def _load(self, deployment: str, route: RevisionRoute | None) -> LiveRevision | None:
        """A revision in memory; None when there is none, or it cannot be loaded, which is then reported."""
        if route is None:
            return None
        key = (deployment, route.number)
        known = self._revisions.get(key)
        if known is not None:
            return known
        failure = self._failures.get(key)
        if failure is not None and failure.retry_at > time.monotonic():
            return None
        try:
            loaded = LiveRevision(route, self._open_model(route.tree))
        except Exception as error:  # whatever is wrong with a model, the gateway has to go on with the others
            log.warning("revision %d of %s cannot be loaded: %s", route.number, deployment, error)
            is_final = not isinstance(error, (UnavailableError, OSError))
            wait_s = RETRY_AFTER_S if is_final else self._poll_s
            self._failures[key] = _Failure(str(error), time.monotonic() + wait_s, is_final)
            return None
        self._failures.pop(key, None)
        self._revisions[key] = loaded
        return loaded

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY_S:
            return
        self._port.report(self._describe())
        self._reported_at = now

    def _describe(self) -> GatewayReport:
        table = self.gateway.table
        revisions = {
            name: sorted({item.route.number for item in (live.stable, live.candidate) if item is not None})
            for name, live in table.deployments.items()
        }
        routes = {
            (route.deployment, revision.number): revision
            for route in self._routing.deployments
            for revision in _named(route)
        }
        failures = [
            LoadFailure(
                deployment=key[0],
                revision=key[1],
                model=routes[key].model,
                version=routes[key].version,
                problem=failure.problem,
            )
            for key, failure in sorted(self._failures.items())
            if key in routes and failure.is_final
        ]
        return GatewayReport(
            gateway=self.name,
            routing=table.number,
            revisions=revisions,
            failures=failures,
            waiting_segments=self._shipper.waiting,
            at=self._clock.now(),
        )


def _named(route: DeploymentRoute) -> list[RevisionRoute]:
    return [item for item in (route.stable, route.candidate, route.previous) if item is not None]


def _loaded(live: LiveDeployment) -> list[LiveRevision]:
    return [item for item in (live.stable, live.candidate, live.previous) if item is not None]


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    os.replace(partial, path)

"""The gateway's other half: one thread follows the routing and swaps; another loads models, ships segments, reports."""

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
from penstock.core.errors import InvalidInputError, UnavailableError
from penstock.core.ids import Digest
from penstock.predictions.log import PredictionLog
from penstock.predictions.segment_file import compact_segment
from penstock.registry.loading import close_model
from penstock.serving.gateway import Gateway
from penstock.serving.live import LiveDeployment, LiveRevision, RoutingTable, ServableModel
from penstock.serving.port import GatewayPort
from penstock.serving.ranking import check_rules
from penstock.serving.shipping import Compact, SegmentShipper
from penstock.serving.types import DeploymentRoute, GatewayReport, LoadFailure, RevisionRoute, Routing

log = logging.getLogger(__name__)

ModelOpener = Callable[[Digest], ServableModel]  # loads a model directory and checks its golden predictions
RETRY_AFTER_S = 30.0
REPORT_EVERY_S = 5.0
RETIRE_AFTER_S = 30.0  # a model that was swapped out still answers the requests that began with it
TRUST_S = 1.5  # without the server's word candidates get no traffic: they may be aborted since


class _Failure(Struct, frozen=True):
    problem: str
    retry_at: float
    is_final: bool  # the model itself is at fault; otherwise its bytes could not be fetched just now


class GatewayLoop:
    """Keeps a gateway in step with the server, and serves on with what it has while the server is away.

    What the routing takes away is out of use at the next look, whatever else goes on; what it brings is used once it is
    loaded. Candidates get their share only as long as the server says so.

    Args:
        gateway: gets a new table whenever the routing changed; its models are loaded and checked before.
        port: the server.
        segments: the prediction log; `stop` ships what is left of it and closes it.
        open_model: loads the model of a tree; it may take its time.
        compact: makes an object of a finished segment of the log; `Compactor` keeps that away from the answers.
        folder: where the last routing is kept.
        name: of this gateway, in its reports.
        poll_s: how often the server is asked.
        trust_s: how long its word holds for candidates.
    """

    def __init__(
        self,
        gateway: Gateway,
        port: GatewayPort,
        segments: PredictionLog,
        open_model: ModelOpener,
        folder: Path,
        *,
        compact: Compact = compact_segment,
        name: str = "gateway",
        poll_s: float = 0.5,
        trust_s: float = TRUST_S,
        clock: Clock | None = None,
    ) -> None:
        self.gateway = gateway
        self.name = name
        self._port = port
        self._segments = segments
        self._shipper = SegmentShipper(segments, port, compact)
        self._open_model = open_model
        self._cache = folder / "routing.json"
        self._poll_s = poll_s
        self._trust_s = trust_s
        self._clock = clock or SystemClock()
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # around whatever both threads change
        self._threads = [
            threading.Thread(target=self._run, args=(self.follow,), name="penstock-gateway-follow", daemon=True),
            threading.Thread(target=self._run, args=(self.tend,), name="penstock-gateway-tend", daemon=True),
        ]
        self._routing = Routing()
        self._revisions: dict[tuple[str, int], LiveRevision] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        self._retired: list[tuple[float, LiveRevision]] = []  # and when each is closed
        self._reported_at = -REPORT_EVERY_S
        self._away: set[str] = set()  # the threads that do not reach the server
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Serve the routing of last time, if any, and go on from there in the background."""
        self._guard(self.restore)  # before the first request: who waited for a restart must get an answer
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, ship what is left, and close the prediction log. Call it when no request comes any more."""
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.gateway.stop()
        self._segments.rotate()
        self._while_reachable(self._shipper.ship)
        self._segments.close()
        for revision in (*self._revisions.values(), *(held for _, held in self._retired)):
            close_model(revision.model)

    def step(self) -> None:
        """Do once what the threads do again and again."""
        self.follow()
        self.tend()

    def follow(self) -> None:
        """Ask where requests go, and swap to what is loaded of it."""
        self._while_reachable(self._follow)

    def tend(self) -> None:
        """Load what is not loaded yet, ship finished segments, report, and close models that are in use no more."""
        self._while_reachable(self._load_missing, self._shipper.ship, self._report)
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
        cautious = tuple(replace(route, candidate=None, shadow=None, share=0.0) for route in routing.deployments)
        self._routing = Routing(routing.number, cautious)
        self._load_missing()
        self._routing = Routing()  # so that the server's word is taken, whatever its number

    def _run(self, work: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            self._guard(work)
            self._stopped.wait(self._poll_s)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the outermost loop: the gateway serves on, and the next round tries again
            log.exception("the gateway's loop failed")

    def _while_reachable(self, *work: Callable[[], None]) -> None:
        """Do these in turn; a server that is away ends it quietly until the next time."""
        name = work[0].__name__
        try:
            for item in work:
                item()
        except (UnavailableError, OSError) as error:
            if name not in self._away:
                log.warning("the server is away, and the gateway goes on without it: %s", error)
            self._away.add(name)
        else:
            self._away.discard(name)

    def _follow(self) -> None:
        asked_at = time.perf_counter()
        routing = self._port.fetch_routing()
        if routing != self._routing:
            with self._lock:
                self._routing = routing
                self._show()
            _write(self._cache, msgspec.json.encode(routing))
        self.gateway.trust(asked_at + self._trust_s)  # of what was fetched, and so after the swap

    def _show(self) -> None:
        """Swap to what is loaded of the routing."""
        routing = self._routing
        live = [self._assemble(route) for route in routing.deployments]
        table = RoutingTable(routing.number, {item.name: item for item in live if item is not None})
        self.gateway.swap(table)
        self._reported_at = -REPORT_EVERY_S
        log.info("the gateway follows routing %d", routing.number, extra={"deployments": sorted(table.deployments)})

    def _assemble(self, route: DeploymentRoute) -> LiveDeployment | None:
        """The deployment with those of its models that are in memory; None when none of them is."""

        def find(revision: RevisionRoute | None) -> LiveRevision | None:
            return None if revision is None else self._revisions.get((route.deployment, revision.number))

        held = self.gateway.table.deployments.get(route.deployment)
        previous = find(route.previous)
        stable = find(route.stable) or previous or (held.stable if held else None)
        if stable is None:
            return None
        return LiveDeployment(
            route=route,
            stable=stable,
            candidate=find(route.candidate),
            shadow=find(route.shadow),
            previous=previous,
        )

    def _load_missing(self) -> None:
        """Bring what the routing names into memory, swap to it, and let go of what is in use no more."""
        routing = self._routing
        named = [(route, revision) for route in routing.deployments for revision in _named(route)]
        keys = {(route.deployment, revision.number) for route, revision in named}
        self._failures = {key: failure for key, failure in self._failures.items() if key in keys}
        loaded = [self._load(route, revision) for route, revision in named]
        with self._lock:
            if any(loaded):
                self._show()
            used = [revision for item in self.gateway.table.deployments.values() for revision in _loaded(item)]
            kept = {
                key: held for key, held in self._revisions.items() if key in keys or any(held is item for item in used)
            }
            closed_at = time.monotonic() + RETIRE_AFTER_S
            self._retired += [(closed_at, held) for key, held in self._revisions.items() if key not in kept]
            self._revisions = kept

    def _close_retired(self) -> None:
        now = time.monotonic()
        for closed_at, revision in self._retired:
            if closed_at <= now:
                close_model(revision.model)
        self._retired = [held for held in self._retired if held[0] > now]

    def _load(self, route: DeploymentRoute, revision: RevisionRoute) -> bool:
        """Bring a revision into memory; whether that was needed and done. What cannot be loaded is reported."""
        key = (route.deployment, revision.number)
        held = self._revisions.get(key)
        if held is not None and held.route.fast == revision.fast:
            return False
        failure = self._failures.get(key)
        if failure is not None and failure.retry_at > time.monotonic():
            return False
        try:
            loaded = LiveRevision(revision, self._open(revision))
            self._check_rules(route, loaded)
        except Exception as error:  # whatever is wrong with a model, the gateway has to go on with the others
            log.warning("revision %d of %s cannot be loaded: %s", revision.number, route.deployment, error)
            is_final = not isinstance(error, (UnavailableError, OSError))
            wait_s = RETRY_AFTER_S if is_final else self._poll_s
            self._failures[key] = _Failure(str(error), time.monotonic() + wait_s, is_final)
            self._reported_at = -REPORT_EVERY_S
            return False
        self._failures.pop(key, None)
        with self._lock:
            self._revisions[key] = loaded
            if held is not None:
                self._retired.append((time.monotonic() + RETIRE_AFTER_S, held))
        return True

    def _open(self, revision: RevisionRoute) -> ServableModel:
        """The model of a revision, in its fast form where that can be loaded."""
        if revision.fast is not None:
            try:
                return self._open_model(revision.fast)
            except (UnavailableError, OSError):
                raise
            except Exception as error:  # it is a convenience, and the model itself is there
                log.warning("the fast form of version %d of %s: %s", revision.version, revision.model, error)
        return self._open_model(revision.tree)

    def _check_rules(self, route: DeploymentRoute, revision: LiveRevision) -> None:
        """See that the deployment's rules can be applied to a model; one that serves already does so without them.

        Raises:
            InvalidInputError: they cannot, and the revision gets no traffic.
        """
        try:
            check_rules(route.rules, revision.items)
        except InvalidInputError as error:
            if revision.route in (route.candidate, route.shadow):
                raise
            log.warning("a rule of %s is passed over: %s", route.deployment, error)

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY_S:
            return
        self._port.report(self._describe())
        self._reported_at = now

    def _describe(self) -> GatewayReport:
        table = self.gateway.table
        revisions = {
            name: sorted({item.route.number for item in (live.stable, live.candidate, live.shadow) if item is not None})
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
            dropped_copies=self.gateway.dropped_copies,
            at=self._clock.now(),
        )


def _named(route: DeploymentRoute) -> list[RevisionRoute]:
    return [item for item in (route.stable, route.candidate, route.shadow, route.previous) if item is not None]


def _loaded(live: LiveDeployment) -> list[LiveRevision]:
    return [item for item in (live.stable, live.candidate, live.shadow, live.previous) if item is not None]


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    os.replace(partial, path)

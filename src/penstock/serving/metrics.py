"""What a gateway counts of itself, in the text form that Prometheus reads."""

import itertools
import logging
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from penstock.core.health import disk_families, render_metrics

log = logging.getLogger(__name__)

# Seconds; those of OpenTelemetry's `http.server.request.duration`, and two finer ones for what models need.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
FRESH_S = 10.0  # what a process wrote longer ago is of one that is gone


class Durations(Struct):
    """How long requests took: a count for each bucket, the last without an upper bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total_s: float = 0.0


class Counts(Struct, kw_only=True):
    """What one gateway process, or several together, did since they began."""

    requests: dict[str, dict[int, int]] = {}  # deployment -> status code -> requests for predictions
    durations: dict[str, Durations] = {}  # deployment -> of its requests
    predictions: dict[str, dict[int, dict[str, int]]] = {}  # deployment -> revision -> status -> rows
    dropped_copies: int = 0  # rows that revisions in the shadow were not asked
    waiting_segments: int = 0  # of the prediction log, finished and not shipped
    in_progress: int = 0
    cpu_s: float = 0.0
    processes: int = 1


class GatewayMetrics:
    """Counts the requests of one gateway process; counted by one thread, the event loop's, and read by any.

    Requests for deployments that are not there are counted under an empty name: whoever asks for random names must not
    make the page grow.
    """

    def __init__(self) -> None:
        self._counts = Counts()

    def count_request(self, deployment: str, status: int, seconds: float) -> None:
        """One answer."""
        counts = self._counts
        codes = counts.requests.get(deployment)
        if codes is None:
            codes = counts.requests[deployment] = {}
            counts.durations[deployment] = Durations()
        codes[status] = codes.get(status, 0) + 1
        durations = counts.durations[deployment]
        durations.counts[bisect_left(BOUNDS, seconds)] += 1
        durations.total_s += seconds

    def count_rows(self, deployment: str, revision: int, rows: int, fallbacks: int = 0) -> None:
        """Rows that were answered; for some of them something simpler may have answered than the revision."""
        statuses = self._counts.predictions.setdefault(deployment, {}).setdefault(revision, {})
        for status, count in (("ok", rows - fallbacks), ("fallback", fallbacks)):
            if count:
                statuses[status] = statuses.get(status, 0) + count

    def read(self, in_progress: int, dropped_copies: int = 0, waiting_segments: int = 0) -> Counts:
        """What was counted so far, with the process's own figures."""
        counts = self._counts
        return Counts(
            requests={name: codes.copy() for name, codes in counts.requests.copy().items()},
            durations={
                name: Durations(held.counts.copy(), held.total_s) for name, held in counts.durations.copy().items()
            },
            predictions={
                name: {number: statuses.copy() for number, statuses in revisions.copy().items()}
                for name, revisions in counts.predictions.copy().items()
            },
            dropped_copies=dropped_copies,
            waiting_segments=waiting_segments,
            in_progress=in_progress,
            cpu_s=time.process_time(),
        )


class SharedCounts:
    """A folder in which the processes of one gateway tell each other what they counted.

    Args:
        folder: the same for all of them; made when missing.
        name: of this process, and again of the one that takes its place.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.json"
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, counts: Counts) -> None:
        """Tell the others."""
        partial = self._path.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(counts))
        partial.replace(self._path)

    def read_others(self) -> list[Counts]:
        """What the others told last; those that are gone stay out."""
        found = []
        for path in sorted(self._path.parent.glob("*.json")):
            try:
                if path != self._path and time.time() - path.stat().st_mtime < FRESH_S:
                    found.append(msgspec.json.decode(path.read_bytes(), type=Counts))
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("what another gateway process counted cannot be read: %s", error)
        return found


def add_counts(parts: Iterable[Counts]) -> Counts:
    """What several processes did together."""
    total = Counts(processes=0)
    for part in parts:
        for name, codes in part.requests.items():
            _add(total.requests.setdefault(name, {}), codes)
        for name, revisions in part.predictions.items():
            for number, statuses in revisions.items():
                _add(total.predictions.setdefault(name, {}).setdefault(number, {}), statuses)
        for name, durations in part.durations.items():
            held = total.durations.setdefault(name, Durations())
            held.counts = [a + b for a, b in zip(held.counts, durations.counts, strict=True)]
            held.total_s += durations.total_s
        total.dropped_copies += part.dropped_copies
        total.waiting_segments += part.waiting_segments
        total.in_progress += part.in_progress
        total.cpu_s += part.cpu_s
        total.processes += part.processes
    return total


def render(counts: Counts, folder: Path) -> bytes:
    """The page, https://prometheus.io/docs/instrumenting/exposition_formats/.

    Args:
        counts: what was counted.
        folder: of the prediction log, whose disk is looked at.
    """
    return render_metrics(lambda: itertools.chain(_Collector(counts).collect(), disk_families(folder)))


class _Collector:
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        counts = self._counts
        requests = CounterMetricFamily(
            "penstock_gateway_requests", "Requests for predictions.", labels=["deployment", "code"]
        )
        for name, codes in sorted(counts.requests.items()):
            for code, number in sorted(codes.items()):
                requests.add_metric([name, str(code)], number)
        yield requests
        durations = HistogramMetricFamily(
            "penstock_gateway_request_duration_seconds", "From the request's head to its answer.", labels=["deployment"]
        )
        for name, held in sorted(counts.durations.items()):
            durations.add_metric([name], _cumulate(held), held.total_s)
        yield durations
        predictions = CounterMetricFamily(
            "penstock_gateway_predictions", "Rows answered.", labels=["deployment", "revision", "status"]
        )
        for name, revisions in sorted(counts.predictions.items()):
            for revision, statuses in sorted(revisions.items()):
                for status, number in sorted(statuses.items()):
                    predictions.add_metric([name, str(revision), status], number)
        yield predictions
        yield CounterMetricFamily(
            "penstock_gateway_dropped_copies",
            "Rows that revisions in the shadow were not asked.",
            value=counts.dropped_copies,
        )
        yield GaugeMetricFamily(
            "penstock_gateway_requests_in_progress", "Requests under way.", value=counts.in_progress
        )
        yield GaugeMetricFamily(
            "penstock_gateway_waiting_segments",
            "Segments of the prediction log that are finished and not shipped.",
            value=counts.waiting_segments,
        )
        yield GaugeMetricFamily("penstock_gateway_processes", "Processes that answer.", value=counts.processes)
        yield CounterMetricFamily("penstock_gateway_cpu_seconds", "Processor time they took.", value=counts.cpu_s)


def _add(total: dict[Any, int], part: dict[Any, int]) -> None:
    for key, count in part.items():
        total[key] = total.get(key, 0) + count


def _cumulate(durations: Durations) -> list[tuple[str, float]]:
    """Counts up to each bound, as Prometheus wants them."""
    buckets, total = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), durations.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets

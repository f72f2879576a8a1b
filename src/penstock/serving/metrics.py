"""What a gateway counts of itself, in the text form that Prometheus reads."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, field

# Seconds; those of OpenTelemetry's `http.server.request.duration`, and two finer ones for what models need.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Durations(Struct):
    """How long requests took: a count for each bucket, the last without an upper bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total_s += seconds


class Counts(Struct, kw_only=True):
    """What one gateway process, or several together, did since they began."""

    requests: dict[tuple[str, int], int] = {}  # deployment and status code -> answers
    durations: dict[str, Durations] = {}  # deployment -> of its requests
    predictions: dict[tuple[str, int, str], int] = {}  # deployment, revision and status -> rows
    in_progress: int = 0
    cpu_s: float = 0.0
    processes: int = 1


class GatewayMetrics:
    """Counts the requests of one gateway process. Used by one thread, the event loop's.

    Requests for deployments that are not there are counted under an empty name: whoever asks for random names must not
    make the page grow.
    """

    def __init__(self) -> None:
        self.counts = Counts()

    def count_request(self, deployment: str, status: int, seconds: float) -> None:
        """One answer."""
        counts = self.counts
        key = (deployment, status)
        counts.requests[key] = counts.requests.get(key, 0) + 1
        durations = counts.durations.get(deployment)
        if durations is None:
            durations = counts.durations[deployment] = Durations()
        durations.add(seconds)

    def count_predictions(self, deployment: str, revision: int, status: str, rows: int) -> None:
        """Rows that a revision answered, one status for all of them."""
        key = (deployment, revision, status)
        self.counts.predictions[key] = self.counts.predictions.get(key, 0) + rows

    def read(self, in_progress: int) -> Counts:
        """What was counted so far, with the process's own figures."""
        self.counts.in_progress = in_progress
        self.counts.cpu_s = time.process_time()
        return self.counts


def add_counts(parts: Iterable[Counts]) -> Counts:
    """What several processes did together."""
    total = Counts(processes=0)
    for part in parts:
        for request, count in part.requests.items():
            total.requests[request] = total.requests.get(request, 0) + count
        for rows, count in part.predictions.items():
            total.predictions[rows] = total.predictions.get(rows, 0) + count
        for deployment, durations in part.durations.items():
            held = total.durations.setdefault(deployment, Durations())
            held.counts = [a + b for a, b in zip(held.counts, durations.counts, strict=True)]
            held.total_s += durations.total_s
        total.in_progress += part.in_progress
        total.cpu_s += part.cpu_s
        total.processes += part.processes
    return total


def render(counts: Counts) -> bytes:
    """The page, https://prometheus.io/docs/instrumenting/exposition_formats/."""
    from prometheus_client import CollectorRegistry, generate_latest  # takes longer than a gateway's first answers

    registry = CollectorRegistry()
    registry.register(_Collector(counts))
    return generate_latest(registry)


class _Collector:
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        counts = self._counts
        requests = CounterMetricFamily("penstock_gateway_requests", "Requests answered.", labels=["deployment", "code"])
        for (deployment, code), number in sorted(counts.requests.items()):
            requests.add_metric([deployment, str(code)], number)
        yield requests
        durations = HistogramMetricFamily(
            "penstock_gateway_request_duration_seconds", "From the request's head to its answer.", labels=["deployment"]
        )
        for deployment, held in sorted(counts.durations.items()):
            durations.add_metric([deployment], _cumulate(held), held.total_s)
        yield durations
        predictions = CounterMetricFamily(
            "penstock_gateway_predictions", "Rows answered.", labels=["deployment", "revision", "status"]
        )
        for (deployment, revision, status), number in sorted(counts.predictions.items()):
            predictions.add_metric([deployment, str(revision), status], number)
        yield predictions
        yield GaugeMetricFamily(
            "penstock_gateway_requests_in_progress", "Requests under way.", value=counts.in_progress
        )
        yield GaugeMetricFamily("penstock_gateway_processes", "Processes that answer.", value=counts.processes)
        yield CounterMetricFamily("penstock_gateway_cpu_seconds", "Processor time they took.", value=counts.cpu_s)


def _cumulate(durations: Durations) -> list[tuple[str, float]]:
    """Counts up to each bound, as Prometheus wants them."""
    buckets, total = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), durations.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets

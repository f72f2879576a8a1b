"""What has to hold before a process is sent work, and the figures of the process and its disk for Prometheus."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.core import codec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LEAST_FREE_BYTES = 4 << 20  # with less, the next group of writes may not fit
_MEBIBYTE = 1 << 20


class Problem(Struct, frozen=True):
    """Why a process should not be sent work just now."""

    check: str  # database, schema, disk, routing, server ...
    problem: str  # in plain words


Check = Callable[[], Iterable[Problem]]


class Readiness(Struct, frozen=True):
    """Whether a process is ready, and if not, everything that is missing."""

    ready: bool
    problems: list[Problem]

    @property
    def status(self) -> int:
        """Of the HTTP answer."""
        return 200 if self.ready else 503

    def encode(self) -> bytes:
        """The body of the HTTP answer."""
        return codec.encode(self)


def find_out(checks: Iterable[Check]) -> Readiness:
    """Ask every check."""
    problems = [problem for check in checks for problem in check()]
    return Readiness(not problems, problems)


def check_disk(folder: Path, least_bytes: int = LEAST_FREE_BYTES) -> Iterator[Problem]:
    """Whether there is room where a folder lies."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Problem("disk", f"the folder of its state cannot be looked at: {error.strerror}")
        return
    if free < least_bytes:
        told = f"{free / _MEBIBYTE:.1f} MiB are left on the disk of its state, {least_bytes / _MEBIBYTE:g} are needed"
        yield Problem("disk", told)


def render_metrics(families: Callable[[], Iterable[Any]]) -> bytes:
    """A page for Prometheus: these families, and the process's own (`process_cpu_seconds_total` and so on).

    Args:
        families: gives metric families of `prometheus_client.core`.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest  # takes longer than to start

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Collector(families))
    return generate_latest(registry)


def disk_families(folder: Path) -> Iterator[Any]:
    """Room on the disk of a folder."""
    from prometheus_client.core import GaugeMetricFamily

    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return
    yield GaugeMetricFamily("penstock_disk_free_bytes", "Room left on the disk of the state.", value=usage.free)
    yield GaugeMetricFamily("penstock_disk_size_bytes", "Size of the disk of the state.", value=usage.total)


class _Collector:
    def __init__(self, families: Callable[[], Iterable[Any]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        yield from self._families()

"""The traffic of the last hour by minute and revision, and what pages draw of it."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup
from msgspec import Struct

from penstock.predictions.service import PredictionService, add_counts
from penstock.predictions.types import RevisionCounts, Segment
from penstock.server.web.drawings.charts import Point, Series, line_chart
from penstock.server.web.drawings.plot import HALF

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PAGE = 10_000  # segments that are read at once
MOST_DEPLOYMENTS = 100  # that are remembered

Minutes = dict[datetime, list[RevisionCounts]]
Reading = Callable[[RevisionCounts, float], float | None]  # of the counts of a minute, and how many seconds it had


class LastHour(Struct, frozen=True, kw_only=True):
    """What a deployment answered in the last hour, by the minute in which it became known."""

    until: datetime
    minutes: Minutes

    @property
    def revisions(self) -> list[RevisionCounts]:
        """Each revision over the whole hour."""
        return add_counts([counts for held in self.minutes.values() for counts in held])

    def find(self, revision: int) -> RevisionCounts:
        """One revision over the whole hour; without rows where it answered nothing."""
        return next((held for held in self.revisions if held.revision == revision), RevisionCounts(revision=revision))


class RecentTraffic:
    """Reads the last hour of each deployment; what was read is remembered, so that a live page reads only what is new.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[int, Minutes]] = {}  # number of the last segment that was read, and the minutes

    def read(self, predictions: PredictionService, deployment: str) -> LastHour:
        """The hour up to now."""
        now = predictions.db.clock.now()
        since = now - HOUR
        with self._lock:
            after, held = self._held.get(deployment, (0, {}))
            minutes = {minute: counts for minute, counts in held.items() if minute + MINUTE > since}
            while fresh := predictions.list_segments(deployment, after=after, received_since=since, limit=PAGE):
                _add(minutes, fresh)
                after = fresh[-1].number
            if deployment not in self._held and len(self._held) >= MOST_DEPLOYMENTS:
                self._held.clear()
            self._held[deployment] = (after, minutes)
        return LastHour(until=now, minutes=dict(minutes))


def _add(minutes: Minutes, segments: Sequence[Segment]) -> None:
    parts: dict[datetime, list[RevisionCounts]] = {}
    for segment in segments:
        if segment.received_at is not None:
            minute = segment.received_at.replace(second=0, microsecond=0)
            parts.setdefault(minute, []).extend(segment.revisions)
    for minute, counts in parts.items():
        minutes[minute] = add_counts([*minutes.get(minute, []), *counts])


class HourCharts(Struct, frozen=True):
    """The drawings of an hour."""

    requests: Markup
    failures: Markup
    median: Markup
    slowest: Markup


def draw_hour(hour: LastHour, names: dict[int, str]) -> HourCharts:
    """Requests, failures and latency of each revision by minute.

    Args:
        hour: what was answered.
        names: of the revisions by number, in the order in which they take their colours.
    """

    def draw(title: str, unit: str, read: Reading) -> Markup:
        series = [Series(name, _points(hour, number, read)) for number, name in names.items()]
        span = (hour.until - HOUR, hour.until)
        return line_chart(series, title=title, unit=unit, area=HALF, span=span, from_zero=True, time="time")

    return HourCharts(
        requests=draw("Requests per second", "requests per second", lambda counts, seconds: counts.rows / seconds),
        failures=draw("Failed requests per minute", "requests per minute", lambda counts, _: counts.failures),
        median=draw("Median latency", "milliseconds", lambda counts, _: counts.latency_ms(0.5)),
        slowest=draw("99 of 100 requests took up to", "milliseconds", lambda counts, _: counts.latency_ms(0.99)),
    )


def _points(hour: LastHour, revision: int, read: Reading) -> list[Point]:
    """A point for each minute since its first within the hour; one without a request has no latency."""
    own = {minute: held for minute, counts in hour.minutes.items() for held in counts if held.revision == revision}
    minute, points = min(own, default=hour.until + MINUTE), []
    while minute <= hour.until:
        seconds = min((hour.until - minute).total_seconds(), 60.0)  # the present minute is not over
        value = read(own.get(minute, RevisionCounts(revision=revision)), max(seconds, 1.0))
        if value is not None and minute >= hour.until - HOUR:
            points.append(Point(minute, value, note=f"{minute:%H:%M}"))
        minute += MINUTE
    return points

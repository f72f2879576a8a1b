"""The monitor of one deployment: closes windows behind the watermark, revises them as outcomes come late, alerts.

It is level-triggered: each tick compares what came in with what is recorded and works off the difference. Windows are
computed outside any transaction, and computing one twice gives the same row, so a crash anywhere costs only time.
"""

import logging
from collections.abc import Iterable
from datetime import datetime

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.ids import Digest
from penstock.core.project.types import Project
from penstock.monitoring.alarms import find_alarms, find_recoveries
from penstock.monitoring.cause_finder import CauseFinder
from penstock.monitoring.comparing import Comparisons, keep_comparison
from penstock.monitoring.decay import WindowLosses, forget_judgement, judge_losses
from penstock.monitoring.delays import find_curve
from penstock.monitoring.estimates import Estimates
from penstock.monitoring.maturity import Ageing, counts_absence, judge_maturity, weigh_outcomes
from penstock.monitoring.measuring import WindowMeter
from penstock.monitoring.reading import PAGE, PredictionReader
from penstock.monitoring.references import References
from penstock.monitoring.retention import InputRetention
from penstock.monitoring.sources import MonitorSources
from penstock.monitoring.types import UNLABELLED, Cursor, LossEvidence, Window
from penstock.monitoring.watches import find_budget, find_harm
from penstock.monitoring.windows import window_start
from penstock.predictions.types import Segment

SMALL = 16_384  # bytes of losses that are remembered, ...
REMEMBERED = 4_000  # ... of so many windows and watches

log = logging.getLogger(__name__)


class News(Struct, frozen=True):
    """What came in since the cursor."""

    cursor: Cursor  # where the monitor will stand when all of it is worked off
    due: list[datetime]  # starts of closed windows to compute, oldest first


class Monitor:
    """Watches one deployment. Not safe to share between threads; several may run, as all of them write the same."""

    def __init__(self, sources: MonitorSources, project: Project) -> None:
        self._sources = sources
        self._project = project
        self.deployment = project.name
        self._length = project.monitor.window
        self._estimates = Estimates(sources, project)
        references = References(sources.monitoring, sources.objects, project)
        self._meter = WindowMeter(sources.registry, sources.serving, references, sources.objects, project)
        self._comparisons = Comparisons(sources.registry, references, sources.objects, project)
        self._causes = CauseFinder(sources, project, self._meter.metric)
        self._reader = PredictionReader(sources.predictions, sources.objects, project.name, project.outcomes)
        self._retention = InputRetention(sources, project, self._reader)
        self._losses: dict[Digest, bytes] = {}  # of small windows: each chain is read anew whenever one of them changes
        self._live: int | None = None  # the version whose alerts were looked at last

    def tick(self) -> bool:
        """Work off what came in since the last time, and let inputs go; returns whether any window or alert changed."""
        changed = self._look()
        self._retention.apply()
        return changed

    def _look(self) -> bool:
        news, live = self._read_news(), self._live_version()
        if news is None and live == self._live:
            return False
        before = {window.start: window for window in self._list_windows()}
        known = dict(before)
        if news is not None:
            self._work_off(news, known)
        alerted = self._alert(sorted(known.values(), key=lambda window: window.start), live)
        if news is not None:
            self._sources.monitoring.move_cursor(news.cursor)
        self._live = live
        return alerted or known != before

    def _work_off(self, news: News, known: dict[datetime, Window]) -> None:
        """Compute and record the due windows, and the others whose judgement they change; `known` is brought along."""
        before = dict(known)
        measured = self._measure(news.due, known, news.cursor)
        aged = self._age(known, news.cursor)
        versions = {held[start].version for held in (before, known) for start in measured | aged if start in held}
        judged = self._compare(known, before, versions) | self._judge(known, versions)
        judged |= self._estimate(known, measured | aged)
        for start in sorted(measured | aged | judged):
            known[start] = self._sources.monitoring.record_window(known[start])

    def _age(self, known: dict[datetime, Window], cursor: Cursor) -> set[datetime]:
        """Say of each window how much of its outcomes should be known by now; returns the windows that changed.

        Where absence means something from now on, or no longer, the window is measured anew.
        """
        as_of = cursor.closed_until
        if as_of is None:
            return set()
        ageing = Ageing(self._project.outcomes, find_curve(list(known.values()), as_of), as_of)
        judged = {start: judge_maturity(window, ageing) for start, window in known.items()}
        turned = [
            start
            for start, maturity in judged.items()
            if maturity is not None and maturity.absent_is_negative != counts_absence(known[start])
        ]
        aged = {start: msgspec.structs.replace(known[start], maturity=maturity) for start, maturity in judged.items()}
        for start in self._measure(sorted(turned), aged, cursor):
            aged[start] = msgspec.structs.replace(aged[start], maturity=judge_maturity(aged[start], ageing))
        for start, value in weigh_outcomes(list(aged.values()), ageing).items():
            aged[start] = _with_weighted(aged[start], value)
        changed = {start for start, window in aged.items() if window != known[start]}
        known.update(aged)
        return changed

    def _read_news(self) -> News | None:
        before = self._sources.monitoring.get_cursor(self.deployment)
        arrived = self._sources.predictions.get_arrivals(self.deployment)
        watermark = self._sources.predictions.watermark(self.deployment)
        if watermark is None:
            return None
        is_quiet, closed_until = self._is_quiet(), window_start(watermark, self._length)
        if is_quiet:
            closed_until += self._length
        nothing_new = arrived.segments <= before.segments and arrived.outcomes <= before.outcomes
        if nothing_new and not (is_quiet and before.closed_until != closed_until):
            return None
        fresh = self._reader.list_segments(after=before.segments)
        starts = self._starts(fresh) | self._starts(self._reader.list_answered(before.outcomes))
        answered = [*self._reader.find_answered_times(before.outcomes), *self._reader.find_robbed_times(fresh)]
        starts |= {window_start(at, self._length) for at in answered}
        since = before.closed_until
        if since is not None:  # the windows that were still open then
            starts |= {at for at in self._starts(self._reader.list_segments(start=since)) if at >= since}
        cursor = Cursor(
            deployment=self.deployment,
            segments=arrived.segments,
            outcomes=arrived.outcomes,
            closed_until=closed_until,
        )
        return News(cursor, sorted(start for start in starts if start < closed_until))

    def _is_quiet(self) -> bool:
        """Whether nothing came for as long as inputs are kept: then no window has to stay open for what may come."""
        kept_for = self._project.monitor.keep_inputs
        if kept_for is None:
            return False
        since = self._sources.predictions.db.clock.now() - kept_for
        return not self._sources.predictions.list_segments(self.deployment, received_since=since, limit=1)

    def _starts(self, segments: Iterable[Segment]) -> set[datetime]:
        """The windows that hold a row of any of these segments."""
        return self._reader.find_starts(segments, self._length)

    def _list_windows(self) -> list[Window]:
        return self._sources.monitoring.list_windows(self.deployment, limit=PAGE)

    def _measure(self, due: list[datetime], known: dict[datetime, Window], cursor: Cursor) -> set[datetime]:
        """Compute the due windows into `known`, of what came up to the cursor; returns those with rows in them."""
        done = set()
        for start in due:
            end = start + self._length
            held = self._reader.list_segments(start=start, end=end)
            rows = self._reader.read_rows([segment for segment in held if segment.number <= cursor.segments])
            rows = rows.filter(pl.col("at") >= start, pl.col("at") < end)
            if rows.height:
                before = known.get(start) or self._sources.monitoring.find_window(self.deployment, start)
                known[start] = keep_comparison(before, self._meter.measure(start, rows, before))
                done.add(start)
        return done

    def _compare(
        self, known: dict[datetime, Window], before: dict[datetime, Window], versions: set[int | None]
    ) -> set[datetime]:
        """Hold the inputs of these versions' windows against their references; returns the windows that changed."""
        changed = set()
        for version in versions:
            chain = sorted((w for w in known.values() if w.version == version), key=lambda w: w.start)
            moved = {w.start for w in chain if w.start not in before or before[w.start].sketches != w.sketches}
            for window, compared in zip(chain, self._comparisons.follow(chain, moved), strict=True):
                if compared != window:
                    known[window.start] = compared
                    changed.add(window.start)
        return changed

    def _judge(self, known: dict[datetime, Window], versions: set[int | None]) -> set[datetime]:
        """Hold the harm of these versions' windows against what is put up with; returns the windows that changed.

        What is measured by outcomes is judged of matured windows only.
        """
        changed = set()

        def put(window: Window, evidence: LossEvidence) -> None:
            known[window.start] = known[window.start].with_evidence(evidence)
            changed.add(window.start)

        for version in versions - {None}:
            chains: dict[str, list[tuple[Window, LossEvidence]]] = {}
            for window in sorted((w for w in known.values() if w.version == version), key=lambda w: w.start):
                for evidence in window.evidence:
                    if window.is_comparable or evidence.kind in UNLABELLED:
                        chains.setdefault(evidence.watch, []).append((window, evidence))
                    elif (young := forget_judgement(evidence)) != evidence:
                        put(window, young)
            for watch, chain in chains.items():
                losses = [self._read_losses(evidence) for _, evidence in chain]
                budget = find_budget(self._project, watch)
                judged = judge_losses(find_harm(self._project, watch), losses, budget)
                for (window, before), evidence in zip(chain, judged, strict=True):
                    if evidence != before:
                        put(window, evidence)
        return changed

    def _read_losses(self, evidence: LossEvidence) -> WindowLosses:
        data = self._losses.get(evidence.losses)
        if data is None:
            data = bytes(self._sources.objects.get_bytes(evidence.losses))
            if len(self._losses) >= REMEMBERED:
                self._losses.clear()
            if len(data) <= SMALL:
                self._losses[evidence.losses] = data
        return WindowLosses(np.frombuffer(data, dtype="<f4").astype(np.float64), evidence)

    def _estimate(self, known: dict[datetime, Window], measured: set[datetime]) -> set[datetime]:
        """Estimate the performance of measured windows and of later ones of their version; returns those changed."""
        changed = set()
        for version in {known[start].version for start in measured} - {None}:
            chain = sorted((w for w in known.values() if w.version == version and w.estimate), key=lambda w: w.start)
            first = next((at for at, window in enumerate(chain) if window.start in measured), len(chain))
            for window, estimate in zip(chain, self._estimates.follow(chain, first), strict=True):
                if estimate != window.estimate:
                    known[window.start] = msgspec.structs.replace(known[window.start], estimate=estimate)
                    changed.add(window.start)
        return changed

    def _alert(self, windows: list[Window], live: int | None) -> bool:
        """Open what should be open, and resolve what has passed; only the live version can raise an alert."""
        passed = self._resolve(windows, live)
        alerts = self._sources.monitoring.list_alerts(self.deployment, limit=1000)
        alarms = find_alarms(self._project, windows, live, alerts)
        for alarm in (self._causes.explain(found, windows) for found in alarms):
            log.warning("alert", extra={"deployment": self.deployment, "kind": alarm.kind, "summary": alarm.summary})
            self._sources.monitoring.open_alert(alarm.window, alarm.kind, alarm.summary, alarm.evidence)
        if alarms:  # of several windows that closed at once, a later one may show it no more
            self._resolve(windows, live)
        return bool(alarms) or passed

    def _resolve(self, windows: list[Window], live: int | None) -> bool:
        alerts = self._sources.monitoring.list_alerts(self.deployment, limit=1000)
        recoveries = find_recoveries(windows, live, alerts)
        for recovery in recoveries:
            self._sources.monitoring.resolve_alert(recovery.alert_id, recovery.reason, recovery.as_of)
        return bool(recoveries)

    def _live_version(self) -> int | None:
        held = self._sources.serving.find_deployment(self.deployment)
        return None if held is None or held.stable is None else held.stable.version


def _with_weighted(window: Window, value: float | None) -> Window:
    if window.maturity is None:
        return window
    return msgspec.structs.replace(window, maturity=msgspec.structs.replace(window.maturity, weighted=value))

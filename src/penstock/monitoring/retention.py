"""Lets the inputs of predictions leave the log once they are older than the project keeps them (`monitor.keep_inputs`).

Drift needs no rows: a closed window has its sketches. So before a segment loses its inputs, each window that holds one
of its rows *keeps* its sketches: it says that all rows that had come by then are in them, and they are not made of rows
again. Rows that come into the window later are sketched by themselves and merged; they are told by the number of their
segment, so none counts twice. Only then are the inputs dropped, a segment at a time. Each step is a transaction of its
own and says what it did, so a crash anywhere costs only time.

What a sketch holds beyond counts is named in docs/explanation/alarms-with-a-budget.md; names of rare values leave it
here, too (`sketches.forget_rare`).
"""

from datetime import datetime

from msgspec import structs

from penstock.core.ids import Digest
from penstock.core.project.types import Project
from penstock.monitoring.answers import reads_inputs
from penstock.monitoring.budget import list_group_columns
from penstock.monitoring.reading import PredictionReader
from penstock.monitoring.sketches import decode_sketch, encode_sketch, forget_rare
from penstock.monitoring.sources import MonitorSources
from penstock.monitoring.types import Estimate, KeptSketches, Window
from penstock.predictions.dropping import drop_inputs
from penstock.predictions.event_time import AHEAD
from penstock.predictions.types import Segment

AT_A_TIME = 20  # segments of a tick, so that the monitor soon looks again


class InputRetention:
    """Drops what is due of one deployment. It compares what is kept with what should be, and remembers nothing."""

    def __init__(self, sources: MonitorSources, project: Project, reader: PredictionReader) -> None:
        self._sources = sources
        self._project = project
        self._reader = reader
        self._measured_by = list_measured_columns(project)

    def apply(self) -> None:
        """Drop the inputs of some segments that are due; what is left comes with the next calls."""
        kept_for = self._project.monitor.keep_inputs
        if kept_for is None:
            return
        cursor = self._sources.monitoring.get_cursor(self._project.name)
        if cursor.closed_until is None:
            return
        due = self._sources.predictions.list_inputs_due(
            self._project.name, kept_for, cursor.closed_until, limit=AT_A_TIME
        )
        for segment in due:
            starts = self._reader.find_starts([segment], self._project.monitor.window)
            if segment.number <= cursor.segments and self._are_closed(starts, cursor.closed_until):
                for start in sorted(starts):
                    self._keep_sketches(start, segment, cursor.segments)
                drop_inputs(self._sources.predictions, self._sources.objects, segment, self._measured_by)

    def _are_closed(self, starts: set[datetime], closed_until: datetime) -> bool:
        """Whether windows are measured; those that lie so far ahead that nobody believes them never are."""
        believed = self._sources.predictions.db.clock.now() + AHEAD
        return all(start < closed_until or start > believed for start in starts)

    def _keep_sketches(self, start: datetime, segment: Segment, until: int) -> None:
        """Let a window keep its sketches, of all rows up to a segment's number, unless it keeps those of this one."""
        window = self._sources.monitoring.find_window(self._project.name, start)
        if window is None or (window.kept is not None and window.kept.segments >= segment.number):
            return
        sketches = None if window.sketches is None else self._forget_rare(window, window.sketches)
        self._sources.monitoring.record_window(
            structs.replace(
                window,
                sketches=sketches,
                kept=KeptSketches(sketches, until),
                estimate=self._without_inputs(window.estimate),
            )
        )

    def _forget_rare(self, window: Window, sketches: Digest) -> Digest:
        objects = self._sources.objects
        held = decode_sketch(objects.get_bytes(sketches), str(window.ref))
        return objects.put_bytes(encode_sketch(forget_rare(held)))

    def _without_inputs(self, estimate: Estimate | None) -> Estimate | None:
        """An estimate that stays what it is, where it was made of inputs."""
        if estimate is None or not reads_inputs(self._project.task):
            return estimate
        return structs.replace(estimate, material=None)


def list_measured_columns(project: Project) -> list[str]:
    """The input columns that a window is measured by when outcomes come late: they stay in the log."""
    return list(dict.fromkeys([*list_group_columns(project), *project.outcomes.by]))

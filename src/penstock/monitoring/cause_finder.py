"""Looks for the cause of an alarm: reads the rows of a time when all was well and of the time in question."""

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from penstock.core.errors import NotFoundError
from penstock.core.project.types import Project
from penstock.monitoring.alarms import Alarm
from penstock.monitoring.causes.explain import LossRows, explain, tell_cause
from penstock.monitoring.causes.types import Cause, Upstream
from penstock.monitoring.maturity import read_absence_by_window
from penstock.monitoring.performance import read_losses
from penstock.monitoring.reading import PredictionReader
from penstock.monitoring.sources import MonitorSources
from penstock.monitoring.types import AlertKind, Window
from penstock.predictions.frames import unpack_json
from penstock.registry.types import ModelVersion
from penstock.stats.arrays import cluster_codes

WITHOUT_CAUSE: frozenset[AlertKind] = frozenset(["latency", "errors"])  # what is slow or fails is no matter of data
UNMEASURED: frozenset[AlertKind] = frozenset(["drift", "estimate"])  # no loss has risen that could be split
MOST_ROWS = 5_000  # of either time; more would not tell more
GONE = "inputs of the first windows, or of these, are older than they are kept (monitor.keep_inputs)"
MOST_WINDOWS = 10  # that the time in question goes back


class CauseFinder:
    """Finds the causes of the alarms of one deployment."""

    def __init__(self, sources: MonitorSources, project: Project, metric: str) -> None:
        self._sources = sources
        self._project = project
        self._metric = metric
        self._last: tuple[object, Cause] | None = None  # several alarms about one window have one cause
        self._reader = PredictionReader(sources.predictions, sources.objects, project.name, project.outcomes)

    def explain(self, alarm: Alarm, windows: Sequence[Window]) -> Alarm:
        """The alarm with its cause in the evidence and in the summary; as it is where there is nothing to say.

        Args:
            alarm: what is to be explained.
            windows: all of the deployment, oldest first.
        """
        version = alarm.window.version
        if alarm.kind in WITHOUT_CAUSE or version is None:
            return alarm
        own = [held for held in windows if held.version == version]
        now = _bad_windows(alarm, own)
        key = (tuple((held.start, held.edition) for held in now), alarm.kind in UNMEASURED)
        if self._last is None or self._last[0] != key:
            cause = self._find(now, own, is_measured=alarm.kind not in UNMEASURED)
            self._last = (key, msgspec.structs.replace(cause, told=tell_cause(cause)))
        cause = self._last[1]
        evidence = alarm.evidence | {"cause": msgspec.to_builtins(cause)}
        summary = f"{alarm.summary}. {cause.told}" if cause.told else alarm.summary
        return msgspec.structs.replace(alarm, evidence=evidence, summary=summary)

    def _find(self, bad: Sequence[Window], windows: Sequence[Window], *, is_measured: bool) -> Cause:
        model = self._sources.registry.get_version(self._project.name, bad[-1].version or 0)
        first = [held for held in windows if held.loss is not None and held.loss.is_reference]
        is_gone = any(held.kept is not None for held in [*bad, *first])
        now = self._read(model, bad)
        early = self._read(model, first or windows[:1])
        current = unpack_json(now, "inputs")
        usual = self._read_reference(model)
        is_measured = is_measured and bool(first)
        cause = explain(
            usual=unpack_json(early, "inputs") if usual is None else usual,
            current=current,
            reference=self._read_losses(model, early) if is_measured else None,
            now=self._read_losses(model, now) if is_measured else None,
            upstream=self._find_upstream(model),
            allowed=self._list_allowed(),
        )
        return msgspec.structs.replace(cause, note=GONE) if is_gone and cause.split is None else cause

    def _read(self, model: ModelVersion, windows: Sequence[Window]) -> pl.DataFrame:
        """The predictions of a version in some windows whose inputs are kept, at most `MOST_ROWS`, evenly spread."""
        revisions = [
            held.number
            for held in self._sources.serving.list_revisions(self._project.name)
            if held.version == model.version
        ]
        parts = []
        for window in windows:
            rows = self._reader.read_rows(self._reader.list_segments(start=window.start, end=window.end))
            inside = (pl.col("at") >= window.start, pl.col("at") < window.end, pl.col("has_inputs"))
            parts.append(rows.filter(*inside, pl.col("revision").is_in(revisions)))
        rows = pl.concat(parts)
        if model.classes:
            rows = read_absence_by_window(rows, self._project.outcomes, windows, model.classes[0])
        if rows.height <= MOST_ROWS:
            return rows
        return rows[np.linspace(0, rows.height - 1, MOST_ROWS).astype(np.int64)]

    def _read_losses(self, model: ModelVersion, rows: pl.DataFrame) -> LossRows | None:
        kept, losses = read_losses(self._project.task, self._metric, rows, model.classes)
        if not kept.height:
            return None
        inputs = unpack_json(kept, "inputs")
        key = self._project.deploy.key
        if key is not None and key in inputs.columns:
            inputs = inputs.drop(key)  # it names the customer
        keys = cluster_codes([key or name for key, name in zip(kept["key"], kept["id"], strict=True)])
        return LossRows(inputs, losses, keys)

    def _read_reference(self, model: ModelVersion) -> pl.DataFrame | None:
        """The rows kept with the version, as far as they are inputs."""
        kept = self._sources.monitoring.find_reference(self._project.name, model.version)
        if model.reference is None or (kept is not None and kept.is_final):
            return None
        rows = pl.read_parquet(io.BytesIO(self._sources.objects.get_bytes(model.reference)))
        names = [column.name for column in model.signature.inputs if column.name in rows.columns]
        return rows.select([name for name in names if name != self._project.deploy.key])

    def _list_allowed(self) -> dict[str, set[str]]:
        """The values that the project's checks allow, by column."""
        checks = [check for section in self._project.data.values() for check in section.checks]
        return {check.column: set(map(str, check.allowed)) for check in checks if check.column and check.allowed}

    def _find_upstream(self, model: ModelVersion) -> list[Upstream]:
        """The datasets that the version was trained on and of which there is a newer version now."""
        if model.run_id is None:
            return []
        try:
            read: Any = self._sources.tracking.get_run(model.run_id).inputs
        except NotFoundError:  # it was trained elsewhere
            return []
        found = []
        for ref in read:
            name, _, number = ref.id.rpartition("/")
            newest = self._sources.datasets.find_latest(name) if ref.kind == "dataset-version" else None
            if newest is not None and newest.version > int(number):
                since = newest.created_at
                found.append(Upstream(dataset=name, trained_on=int(number), newest=newest.version, since=since))
        return found


def _bad_windows(alarm: Alarm, windows: Sequence[Window]) -> list[Window]:
    """The window of the alarm and those just before it that already lost more than is put up with."""
    found = [alarm.window]
    earlier = [held for held in windows if held.start < alarm.window.start]
    for window in reversed(earlier[-MOST_WINDOWS:]):
        loss = window.loss
        if alarm.kind != "performance" or loss is None or loss.tolerated is None or loss.mean_loss <= loss.tolerated:
            break
        found.insert(0, window)
    return found

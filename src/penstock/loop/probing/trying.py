"""The rows that challengers are tried on: the newest answers of the champion whose outcome is known."""

import io
from datetime import datetime, timedelta

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.project.types import Project
from penstock.loop.retraining.guards import find_copies, find_missing
from penstock.loop.retraining.types import Tried
from penstock.monitoring.maturity import read_absence_by_window
from penstock.monitoring.reading import PredictionReader
from penstock.monitoring.service import MAXIMUM_PAGE
from penstock.monitoring.sources import MonitorSources
from penstock.monitoring.types import Window
from penstock.predictions.frames import unpack_json
from penstock.registry.types import ModelVersion
from penstock.stats.arrays import BoolArray, FloatArray

FEWEST = 100  # rows with an outcome; fewer say too little
MOST = 4_000  # that are read, the newest
_TICK = timedelta(microseconds=1)


class Rows(Struct, frozen=True):
    """Rows to try on, and what is wrong with them."""

    tried: Tried
    frame: pl.DataFrame  # inputs and label
    fault: str  # in plain words; empty where they are fit to judge by


class RowFinder:
    """Finds what has come in since it was last tried on."""

    def __init__(self, sources: MonitorSources, project: Project) -> None:
        self._sources = sources
        self._project = project
        self._reader = PredictionReader(sources.predictions, sources.objects, project.name, project.outcomes)

    def find(self, champion: ModelVersion, after: datetime | None, change: datetime | None) -> Rows | None:
        """The newest rows of matured windows; None where too few came since.

        Args:
            champion: who answered them.
            after: only windows from then on.
            change: when something changed, if that is known: half of what came since is left for learning.
        """
        since = None if after is None else after - _TICK
        windows = [
            window
            for window in self._sources.monitoring.list_windows(self._project.name, after=since, limit=MAXIMUM_PAGE)
            if window.version == champion.version and window.is_comparable
        ]
        if sum(window.rows if _counts_all(window) else window.outcomes for window in windows) < FEWEST:
            return None
        rows = self._read(champion, windows)
        if rows.height < FEWEST:
            return None
        if change is not None:
            changed = rows.filter(pl.col("at") >= change)
            if changed.height >= FEWEST:
                rows = changed.tail(max(changed.height // 2, FEWEST))
        inputs, times = unpack_json(rows, "inputs"), rows["at"]
        outcomes = pl.Series(champion.label, [msgspec.json.decode(text) for text in rows["outcome"]])
        first, last = times[0], times[-1]
        tried = Tried(since=first, until=last + _TICK, windows_until=windows[-1].end, rows=rows.height)
        frame = inputs.drop(champion.label, strict=False).with_columns(outcomes)
        return Rows(tried, frame, self._find_fault(champion, inputs))

    def _read(self, champion: ModelVersion, windows: list[Window]) -> pl.DataFrame:
        """The newest rows with an outcome and all of their inputs, oldest first."""
        own = [
            held.number
            for held in self._sources.serving.list_revisions(self._project.name)
            if held.version == champion.version
        ]
        parts: list[pl.DataFrame] = []
        for window in reversed(windows):
            rows = self._reader.read_rows(self._reader.list_segments(start=window.start, end=window.end))
            inside = (pl.col("at") >= window.start, pl.col("at") < window.end)
            rows = rows.filter(*inside, "has_inputs", pl.col("revision").is_in(own), pl.col("status") == "ok")
            if champion.classes:
                rows = read_absence_by_window(rows, self._project.outcomes, [window], champion.classes[0])
            parts.append(rows.filter(pl.col("outcome").is_not_null()))
            if sum(part.height for part in parts) >= MOST:
                break
        return pl.concat(parts[::-1]).sort("at", "id").tail(MOST)

    def _find_fault(self, champion: ModelVersion, inputs: pl.DataFrame) -> str:
        """Whether the rows are broken, against those that the champion was tested on."""
        if champion.reference is None:
            return ""
        reference = pl.read_parquet(io.BytesIO(self._sources.objects.get_bytes(champion.reference)))
        names = [name for name in inputs.columns if name in reference.columns and name != self._project.deploy.key]
        if not names:
            return ""
        before, now = reference.select(names), inputs.select(names)
        fault = find_missing(_absent(before), _absent(now), names)
        return fault or find_copies(*_as_codes(before, now))


def _counts_all(window: Window) -> bool:
    """Whether rows without an outcome have one: that absence says."""
    return window.maturity is not None and window.maturity.absent_is_negative


def _absent(frame: pl.DataFrame) -> BoolArray:
    return frame.select(pl.all().is_null()).to_numpy()


def _as_codes(*frames: pl.DataFrame) -> list[FloatArray]:
    """Rows as numbers, equal where the values are: what else they mean plays no part."""
    texts = [frame.select(pl.all().map_elements(str, pl.String, skip_nulls=True)) for frame in frames]
    both = pl.concat(texts).select(pl.all().rank("dense"))
    numbers = both.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    ends = np.cumsum([frame.height for frame in frames])[:-1]
    return np.split(numbers, ends)

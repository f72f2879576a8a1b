"""What a probe tries: the spans that challengers learn from, and versions of before."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from penstock.core.errors import NotFoundError
from penstock.core.project.types import Project
from penstock.datasets.types import DatasetVersion
from penstock.loop.sources import LoopSources
from penstock.pipelines.types import PipelineRun, RowSpan
from penstock.registry.types import ModelVersion

RETIRED = 2  # champions of before that are tried as well: what was may come again
TWIN = "twin"  # a challenger that learned from the champion's own rows: how much weaker a cheap fit is than a full one
LAST_SHARE = 4  # without a window in the project file the last quarter of the time is what "last" means


class Planner:
    """Says of one project what is worth trying."""

    def __init__(self, sources: LoopSources, project: Project) -> None:
        self._sources = sources
        self._project = project

    def list_spans(self, champion: ModelVersion, end: datetime, change: datetime | None) -> dict[str, RowSpan]:
        """What a retrain may learn from, by name; what would be the same as all rows is left out.

        Args:
            champion: the data it learned from say where the rows begin.
            end: where they end.
            change: when something changed; None where that is not known.
        """
        retrain = self._project.retrain
        start = min((read.time_start for read in self._list_read(champion) if read.time_start), default=None)
        length = retrain.window or ((end - start) / LAST_SHARE if start is not None else None)
        since = {"last": None if length is None else end - length, "change": change}
        spans: dict[str, RowSpan] = {}
        for name in retrain.spans:
            at = since.get(name)
            if name in since and (at is None or at >= end or (start is not None and at <= start)):
                continue
            spans[name] = RowSpan(since=at, half_life=retrain.window if name == "weighted" else None)
        return spans

    def find_twin(self, champion: ModelVersion) -> dict[str, RowSpan]:
        """The rows that the champion learned from, where that is known."""
        run = self._find_run(champion)
        ends = [read.time_end for read in self._list_read(champion) if read.time_end is not None]
        if run is None or not ends:
            return {}
        until = min(filter(None, (max(ends) + timedelta(microseconds=1), run.until)))
        return {TWIN: replace(run.rows or RowSpan(), until=until)}

    def list_retired(self, champion: ModelVersion) -> list[int]:
        """Champions of before, the newest first: those that were replaced, not those that failed."""
        if self._sources.serving.find_deployment(self._project.name) is None:
            return []
        revisions = self._sources.serving.list_revisions(self._project.name)
        failed = {held.version for held in revisions if held.state in ("rolled_back", "aborted")}
        replaced = dict.fromkeys(held.version for held in revisions if held.state == "replaced")
        return [number for number in replaced if number not in failed | {champion.version}][:RETIRED]

    def _find_run(self, version: ModelVersion) -> PipelineRun | None:
        """The run that made a version; None where it was made elsewhere."""
        try:
            return None if version.run_id is None else self._sources.pipelines.get_run(version.run_id)
        except NotFoundError:
            return None

    def _list_read(self, version: ModelVersion) -> list[DatasetVersion]:
        """The data that a version learned from."""
        run = self._find_run(version)
        if run is None:
            return []
        refs = [ref for ref in self._sources.tracking.get_run(run.id).inputs if ref.kind == "dataset-version"]
        named = [ref.id.rpartition("/") for ref in refs]
        return [self._sources.datasets.get_version(name, int(number)) for name, _, number in named]

"""Asks, whenever enough outcomes have come in, whether a retrain of the champion would help, and keeps the answer.

The question is put to a worker as a run of its own: challengers learn from few rows of each span that a retrain might
read, and are tried, beside the champion and those it followed, on rows that none of them has seen. What not retraining
has cost is added up from probe to probe (`loop/retraining/case.py`).
"""

from datetime import datetime

import numpy as np
from msgspec.structs import replace

from penstock.core.project.types import Project
from penstock.loop.probing.planning import TWIN, Planner
from penstock.loop.probing.trying import RowFinder, Rows
from penstock.loop.retraining.case import Case, Rule
from penstock.loop.retraining.types import Contender, Probed, Standing
from penstock.loop.retraining.weighing import ALL, measure_gain, weigh
from penstock.loop.sources import LoopSources
from penstock.loop.triggers import Waiting, wait_for_run
from penstock.pipelines.types import PipelineRun, Probe, name_version
from penstock.pipelines.values.frames import to_parquet
from penstock.pipelines.values.stored import load_value
from penstock.pipelines.values.types import StoredValue
from penstock.registry.types import CHAMPION, ModelVersion
from penstock.stats.arrays import FloatArray


class Prober:
    """Keeps the standing of one project up to date. Acts under the controller's lease."""

    def __init__(self, sources: LoopSources, project: Project) -> None:
        self._sources = sources
        self._project = project
        self._name = project.name
        self._rows = RowFinder(sources, project)
        self._planner = Planner(sources, project)
        self._looked: object = None  # what there was when nothing was found to try on

    @property
    def rule(self) -> Rule:
        """When a retrain is worth it."""
        return Rule(cost=self._project.retrain.cost)

    def find_obstacle(self) -> str:
        """Why no probe can say anything about the champion; empty where one can."""
        if self._find_champion() is None:
            return "there is no champion yet"
        if not any(data.time for data in self._project.data.values()):
            return "the data have no column of time, so rows that nobody has seen cannot be told from others"
        return ""

    def take(self, fence: int) -> Waiting | Standing | None:
        """Take the step that is due: ask, or weigh the answer; None when one was taken.

        Returns:
            The standing, where all there is has been tried; or what is waited for.

        Raises:
            ConflictError: the lease was lost; look again.
            InvalidInputError, NotFoundError: what is asked of cannot be read.
        """
        champion = self._find_champion()
        standing = self._sources.loop.find_standing(self._name) or Standing(project=self._name, case=Case(window=ALL))
        if standing.run_id is not None:
            run = self._sources.pipelines.get_run(standing.run_id)
            if not run.status.is_terminal:
                return wait_for_run(run)
            self._sources.loop.put_standing(self._weigh(standing, run), fence)
            return None
        if champion is None or self.find_obstacle():
            return standing
        if standing.version != champion.version:
            standing = replace(
                standing, case=standing.case.release(), version=champion.version, until=None, newest=None
            )
        rows = self._find_rows(champion, standing)
        if rows is None:
            return standing
        if rows.fault:
            tried = Probed(tried=rows.tried, problem=rows.fault, is_broken=True)
            standing = replace(standing, until=rows.tried.windows_until, newest=tried)
            self._sources.loop.put_standing(standing, fence)
            return None
        self._order(champion, standing, rows, fence)
        return None

    def find_change(self) -> datetime | None:
        """The start of the window that the newest open alert of harm is about; without one, that of any other."""
        alerts = self._sources.monitoring.list_alerts(self._name, "open")
        found = [(alert.pages, alert.window_start) for alert in alerts if not alert.is_data_fault]
        return max(found)[1] if found else None

    def _find_champion(self) -> ModelVersion | None:
        alias = self._sources.registry.find_alias(self._name, CHAMPION)
        return None if alias is None else self._sources.registry.get_version(self._name, alias.version)

    def _find_rows(self, champion: ModelVersion, standing: Standing) -> Rows | None:
        arrived = self._sources.predictions.get_arrivals(self._name)
        asked = (arrived, standing.version, standing.until)
        if asked == self._looked:
            return None
        rows = self._rows.find(champion, standing.until, self.find_change())
        self._looked = asked if rows is None else None
        return rows

    def _order(self, champion: ModelVersion, standing: Standing, rows: Rows, fence: int) -> None:
        end = rows.tried.since
        spans = self._planner.list_spans(champion, end, self.find_change())
        if standing.newest is None:
            spans |= self._planner.find_twin(champion)
        probe = Probe(
            spans=spans,
            versions=(champion.version, *self._planner.list_retired(champion)),
            table=self._sources.objects.put_bytes(to_parquet(rows.frame)),
        )
        reason = f"would a retrain help? tried on {rows.tried.rows:,} rows from {rows.tried.since:%Y-%m-%d %H:%M} on"
        self._sources.loop.order_probe(standing, rows.tried, probe, end, reason, fence)

    def _weigh(self, standing: Standing, run: PipelineRun) -> Standing:
        """The standing with what a probe found; one that failed found nothing, and is not asked again."""
        tried = standing.tried
        assert tried is not None
        ended = replace(standing, run_id=None, tried=None, until=tried.windows_until)
        probed = Probed(run_id=run.id, tried=tried)
        if run.probed is None:
            return replace(ended, newest=replace(probed, problem=run.error or "the probe ended without an answer"))
        losses = {name: self._load(value) for name, value in run.probed.losses.items()}
        name = name_version(standing.version or 0)
        champion, twin = losses.pop(name, None), losses.pop(TWIN, None)
        if champion is None:
            problem = run.probed.problems.get(name) or "the champion could not be tried"
            return replace(ended, newest=replace(probed, problem=problem))
        case = weigh(standing.case, champion, losses, twin, self.rule)
        probed = replace(
            probed,
            champion=float(np.nan_to_num(champion).mean()),
            contenders=_tell(run, champion, losses),
            cpu_s=round(run.probed.cpu_s, 3),
        )
        return replace(ended, case=case, newest=probed)

    def _load(self, stored: StoredValue) -> FloatArray:
        return np.asarray(load_value(stored, self._sources.objects), dtype=np.float64)


def _tell(run: PipelineRun, champion: FloatArray, losses: dict[str, FloatArray]) -> list[Contender]:
    """The contenders, the best first, and then those that could not be tried."""
    spans = run.probe.spans if run.probe is not None else {}
    found = []
    for name, lost in losses.items():
        gain, error = measure_gain(champion, lost)
        found.append(Contender(name=name, gain=gain, error=error, span=spans.get(name)))
    problems = run.probed.problems if run.probed is not None else {}
    failed = [Contender(name=name, gain=0.0, error=0.0, problem=told) for name, told in problems.items()]
    return [*sorted(found, key=lambda each: -each.gain), *failed]

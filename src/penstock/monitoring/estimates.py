"""Estimated performance of the windows of a deployment: reads what they are made from, and keeps what is learned."""

from collections.abc import Sequence

from penstock.core.ids import Digest
from penstock.core.project.types import Project
from penstock.evaluation.scores import unpack_scores
from penstock.monitoring.answers import AnswerRows, reads_inputs
from penstock.monitoring.budget import share_budget
from penstock.monitoring.estimating import Chain
from penstock.monitoring.estimators import Estimator, read_held_out
from penstock.monitoring.sources import MonitorSources
from penstock.monitoring.types import Estimate, Window
from penstock.monitoring.windows import tell_start


class Estimates:
    """Estimators by their calibration are kept in memory: what they are made from never changes."""

    def __init__(self, sources: MonitorSources, project: Project) -> None:
        self._sources = sources
        self._project = project
        self._fitted: dict[Digest, Estimator] = {}

    def follow(self, windows: Sequence[Window], start: int) -> list[Estimate]:
        """The estimates of all windows of one version, oldest first; those before `start` stay as they are."""
        estimates = [window.estimate for window in windows if window.estimate is not None]
        if not estimates or all(estimate.material is None for estimate in estimates):
            return estimates
        chain = Chain(
            task=self._project.task,
            metric=estimates[-1].metric,
            estimates=estimates,
            names=[tell_start(window.start) for window in windows],
            is_final=[reads_inputs(self._project.task) and window.kept is not None for window in windows],
            comparable=[window.is_comparable for window in windows],
            held_out=lambda: self._read_held_out(windows[0].version),
            budget=share_budget(self._project),
            read=self._sources.objects.get_bytes,
            keep=self._sources.objects.put_bytes,
            fitted=self._fitted,
        )
        return chain.follow(start)

    def _read_held_out(self, version: int | None) -> tuple[AnswerRows, str] | None:
        """The rows that a version was tested on, with their labels."""
        if version is None or self._project.task != "binary":
            return None
        model = self._sources.registry.get_version(self._project.name, version)
        if model.report_id is None:
            return None
        report = self._sources.evaluation.get_report(model.report_id)
        rows = read_held_out(unpack_scores(self._sources.objects.get_bytes(report.scores))) if report.scores else None
        return None if rows is None else (rows, f"the rows that version {version} was tested on")

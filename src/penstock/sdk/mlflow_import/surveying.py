"""What an import would take, without writing anything."""

from collections import Counter

from penstock.core.errors import InvalidInputError
from penstock.sdk.mlflow_import.artifacts import FileLister
from penstock.sdk.mlflow_import.importer import choose
from penstock.sdk.mlflow_import.report import ImportedExperiment, ImportReport
from penstock.sdk.mlflow_import.source import (
    Progress,
    Source,
    SourceExperiment,
    SourceOwner,
    SourceRun,
)
from penstock.tracking.taking_over import summarize_points


class Survey:
    """Reads a store as an import does, and counts.

    Args:
        source: the store.
        progress: is told of each step.
        with_artifacts: whether files count.
    """

    def __init__(self, source: Source, progress: Progress, *, with_artifacts: bool = True) -> None:
        self._source = source
        self._progress = progress
        self._lister = FileLister(source, with_artifacts=with_artifacts)
        self._running: list[str] = []
        self._problems: list[str] = []

    def run(self, experiment: str = "") -> ImportReport:
        """Count everything, or one experiment and no models of the registry."""
        chosen = choose(self._source, experiment)
        models = [] if experiment else self._source.list_models()
        counted = [ImportedExperiment(name=each.name, **self._count(each)) for each in chosen]
        return ImportReport(
            source=self._source.label,
            into="",
            experiments=tuple(counted),
            models=len(models),
            versions=sum(not version.is_deleted for model in models for version in model.versions),
            running=tuple(self._running),
            differences=(*self._source.problems, *self._problems),
            skipped=tuple(self._lister.skipped.values()),
            others=self._source.count_others(),
        )

    def _count(self, home: SourceExperiment) -> Counter[str]:
        self._progress.begin(home.name, self._source.count_runs(home.id))
        count: Counter[str] = Counter()
        for run in self._source.each_run(home.id):
            count.update(runs=1, params=len(run.params), tags=len(run.tags), **self._count_points(home, run))
            count.update(self._count_files(run))
            if not run.status.is_terminal and not run.is_deleted:
                self._running.append(f"run {run.id} of {home.name!r}")
            self._progress.advance()
        for model in self._source.each_logged_model(home.id):
            count.update(self._count_files(model))
            count["logged_models"] += 1
        return count

    def _count_points(self, home: SourceExperiment, run: SourceRun) -> dict[str, int]:
        try:
            held = [summarize_points(each.at, each.steps, each.values) for _, each in self._source.read_points(run)]
        except InvalidInputError as error:
            self._problems.append(f"run {run.id} of {home.name!r}: {error}")
            return {}
        return {"metrics": len(held), "points": sum(each.points for each in held)}

    def _count_files(self, owner: SourceOwner) -> dict[str, int]:
        found = self._lister.list_files(owner).files
        return {"files": len(found), "size_bytes": sum(file.size_bytes for file in found)}

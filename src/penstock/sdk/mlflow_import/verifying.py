"""Compares what is here with the source, by counts and digests, and names every difference."""

from collections.abc import Callable, Iterator, Sequence

from penstock.catalogue.services import Services
from penstock.core.errors import NotFoundError
from penstock.core.ids import ExperimentId
from penstock.sdk.mlflow_import.models import compare_model
from penstock.sdk.mlflow_import.report import ImportedExperiment
from penstock.sdk.mlflow_import.runs import RunFiles, list_kept, summarize_source, to_taken
from penstock.sdk.mlflow_import.source import Progress, Source, SourceExperiment, SourceModel, SourceRun
from penstock.tracking.taking_over import RunSummary
from penstock.tracking.types import Experiment


class Verifier:
    """Reads the source anew and compares run by run.

    Attributes:
        differences: so far, each in words.
    """

    def __init__(
        self,
        source: Source,
        services: Services,
        list_files: Callable[[SourceRun], RunFiles],
        progress: Progress,
    ) -> None:
        self.differences: list[str] = []
        self._source = source
        self._services = services
        self._list_files = list_files
        self._progress = progress

    def compare_experiment(
        self, experiment: SourceExperiment, home: Experiment, taken: int, known: int
    ) -> ImportedExperiment:
        """Compare an experiment and its runs; what of it is here, in numbers."""
        self._progress.begin(f"verifying {experiment.name}", self._source.count_runs(experiment.id))
        self._compare_tags(experiment)
        counts = dict.fromkeys(("runs", "params", "tags", "metrics", "points", "files", "size_bytes"), 0)
        for run in self._source.each_run(experiment.id):
            for name, count in self._compare_run(experiment, run, home.id).items():
                counts[name] += count
            self._progress.advance()
        return ImportedExperiment(name=experiment.name, id=home.id, taken=taken, known=known, **counts)

    def compare_models(self, models: Sequence[SourceModel]) -> None:
        """Compare the registry."""
        for model in models:
            try:
                self.differences.extend(compare_model(self._services, model))
            except NotFoundError:
                self.differences.append(f"model {model.name!r}: it is missing")

    def _compare_tags(self, experiment: SourceExperiment) -> None:
        here = self._services.experiments.get_experiment(experiment.name)
        for key, value in experiment.tags.items():
            if here.tags.get(key) != value:
                self.differences.append(f"experiment {experiment.name!r}: tag {key!r} differs")
        if (here.deleted_at is not None) != experiment.is_deleted:
            self.differences.append(f"experiment {experiment.name!r}: it is deleted on one side only")

    def _compare_run(self, home: SourceExperiment, run: SourceRun, experiment_id: ExperimentId) -> dict[str, int]:
        where = f"run {run.id} of {home.name!r}"
        taken = to_taken(run, experiment_id, keeps_uri=True)
        here = self._services.taking_over.summarize_run(taken.id)
        if here is None:
            self.differences.append(f"{where}: it is missing")
            return {}
        wanted = summarize_source(self._source, home, run, taken)
        self.differences.extend(f"{where}: {each}" for each in _differ(wanted, here))
        kept = list_kept(self._services, taken.id)
        for file in self._list_files(run).files:
            size = kept.get(file.path)
            if size is None:
                self.differences.append(f"{where}: artifact {file.path!r} is missing")
            elif size != file.size_bytes:
                self.differences.append(
                    f"{where}: artifact {file.path!r} has {size} bytes here and {file.size_bytes} in the source"
                )
        return {
            "runs": 1,
            "params": here.params,
            "tags": here.tags,
            "metrics": len(here.metrics),
            "points": sum(each.points for each in here.metrics.values()),
            "files": len(kept),
            "size_bytes": sum(kept.values()),
        }


def _differ(wanted: RunSummary, here: RunSummary) -> Iterator[str]:
    if wanted.params != here.params:
        yield f"{here.params} parameters here and {wanted.params} in the source"
    if wanted.tags != here.tags:
        yield f"{here.tags} tags here and {wanted.tags} in the source"
    if wanted.head != here.head:
        yield "name, status, times, user, parameters or tags differ"
    if wanted.deleted_at != here.deleted_at:
        yield "it was deleted at another time, or on one side only"
    for key in sorted(wanted.metrics.keys() | here.metrics.keys()):
        there, held = wanted.metrics.get(key), here.metrics.get(key)
        if there is None or held is None:
            yield f"metric {key!r} is {'missing' if held is None else 'here only'}"
        elif there.points != held.points:
            yield f"metric {key!r} has {held.points} points here and {there.points} in the source"
        elif there != held:
            yield f"metric {key!r} has other points"

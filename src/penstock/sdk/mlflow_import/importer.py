"""The loop of an import: experiments with their runs, logged models, then the registry.

Each thing is read from the source, compared with what is here, written where they differ, and compared again.
"""

from collections import Counter
from collections.abc import Sequence

from penstock.catalogue.services import Services
from penstock.core import failpoints
from penstock.core.codec import nearest_hint
from penstock.core.errors import (
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    StorageFullError,
    UnavailableError,
)
from penstock.core.ids import ExperimentId
from penstock.sdk.mlflow_import.artifacts import FileLister, FileTaker, OwnerFiles
from penstock.sdk.mlflow_import.logged_models import (
    compare_logged_model,
    find_logged_model,
    send_model_points,
    to_taken_model,
)
from penstock.sdk.mlflow_import.models import ModelTaker, compare_model
from penstock.sdk.mlflow_import.report import ImportedExperiment, ImportReport
from penstock.sdk.mlflow_import.runs import compare_run, send_points, summarize_source, to_taken
from penstock.sdk.mlflow_import.source import (
    Progress,
    Source,
    SourceExperiment,
    SourceLoggedModel,
    SourceModel,
    SourceRun,
)
from penstock.tracking.taking_over import RunSummary, TakenExperiment, to_moment
from penstock.tracking.types import Experiment

ENDS_ALL = (UnavailableError, PermissionDeniedError, StorageFullError)  # nothing else would fare better


class Importer:
    """Takes an MLflow store over. Stopped at any point and started again, it ends with the same.

    Args:
        source: the store.
        services: where everything goes.
        progress: is told of each step.
        with_artifacts: whether the files are copied, or stay where they are.
        is_quick: whether files that are here with the same size are taken for the same.
    """

    def __init__(
        self,
        source: Source,
        services: Services,
        progress: Progress,
        *,
        with_artifacts: bool = True,
        is_quick: bool = False,
    ) -> None:
        self._source = source
        self._services = services
        self._with_artifacts = with_artifacts
        self._progress = progress
        self._lister = FileLister(source, with_artifacts=with_artifacts)
        self._files = FileTaker(source, services, self._lister, progress, is_quick=is_quick)
        self._differences: list[str] = []
        self._running: list[str] = []
        self._roots: dict[str, str] = {}  # the artifact URIs of the runs that made versions

    def run(self, experiment: str = "") -> ImportReport:
        """Import everything, or one experiment and no models of the registry."""
        chosen = choose(self._source, experiment)
        models = [] if experiment else self._source.list_models()
        self._roots = {version.run_id: "" for model in models for version in model.versions}
        homes = [(each, home) for each in chosen if (home := self._open(each)) is not None]
        counts = [self._take_runs(each, home.id) for each, home in homes]
        for (each, home), count in zip(homes, counts, strict=True):
            self._take_logged_models(each, home.id, count)
            self._settle(each, home)
        taker = ModelTaker(self._services, self._roots, models, with_artifacts=self._with_artifacts)
        self._take_models(taker, models)
        return ImportReport(
            source=self._source.label,
            into=self._services.place,
            experiments=tuple(
                ImportedExperiment(name=each.name, id=home.id, **count)
                for (each, home), count in zip(homes, counts, strict=True)
            ),
            models=len(models),
            versions=sum(not version.is_deleted for model in models for version in model.versions),
            running=tuple(self._running),
            differences=tuple([*self._source.problems, *self._differences, *self._files.differences]),
            skipped=(*self._lister.skipped.values(), *taker.skipped),
            others=self._source.count_others(),
        )

    def _open(self, experiment: SourceExperiment) -> Experiment | None:
        try:
            taken = TakenExperiment(
                name=experiment.name,
                wanted_id=ExperimentId(int(experiment.id) if experiment.id.isdigit() else 0),
                created_at=to_moment(experiment.created_ms),
                updated_at=to_moment(experiment.updated_ms),
                tags=experiment.tags,
            )
            return self._services.taking_over.take_over_experiment(taken)
        except ENDS_ALL:
            raise
        except PenstockError as error:
            self._differences.append(f"experiment {experiment.name!r} was not imported: {error}")
            return None

    def _take_runs(self, home: SourceExperiment, experiment_id: ExperimentId) -> Counter[str]:
        """Take the runs of an experiment; what of it is here then, in numbers."""
        self._progress.begin(home.name, self._source.count_runs(home.id))
        count: Counter[str] = Counter()
        for run in self._source.each_run(home.id):
            try:
                count.update(self._take_run(home, run, experiment_id))
            except ENDS_ALL:
                raise
            except PenstockError as error:
                self._differences.append(f"run {run.id} of {home.name!r} was not imported whole: {error}")
            self._progress.advance()
        return count

    def _take_run(self, home: SourceExperiment, run: SourceRun, experiment_id: ExperimentId) -> dict[str, int]:
        """Write what is not here of a run; what of it is here then, in numbers."""
        if run.id in self._roots:
            self._roots[run.id] = run.artifact_uri
        if not run.status.is_terminal and not run.is_deleted:
            self._running.append(f"run {run.id} of {home.name!r}")
        found = self._lister.list_files(run)
        taken = to_taken(run, experiment_id, keeps_uri=self._keeps_uri(found))
        histories = dict(self._source.read_points(run))
        wanted = summarize_source(home, run, taken, histories)
        here = self._services.taking_over.summarize_run(taken.id)
        kept = {} if here is None else self._files.list_kept(run)
        stale = self._files.find_stale(run, found.files, kept)
        is_known = here == wanted and not stale
        if here is None or not is_known:
            self._services.taking_over.take_over_run(taken)
            failpoints.hit("import.run.begun")
            old = {} if here is None else here.metrics
            changed = {key for key, summary in wanted.metrics.items() if old.get(key) != summary}
            send_points(self._services, taken.id, {key: histories[key] for key in changed})
            failpoints.hit("import.run.points")
            for file in stale:
                self._files.copy(run, file)
            failpoints.hit("import.run.files")
            self._services.taking_over.settle_run(taken.id, wanted.deleted_at)
            here = self._services.taking_over.summarize_run(taken.id)
            kept = self._files.list_kept(run)
        if here is None:
            raise NotFoundError("somebody removed it meanwhile", hint="import again")
        self._differences.extend(f"run {run.id} of {home.name!r}: {each}" for each in compare_run(wanted, here))
        sizes = [each.size_bytes for each in kept.values()]
        return {"known" if is_known else "taken": 1, **count_run(here), "files": len(sizes), "size_bytes": sum(sizes)}

    def _take_logged_models(self, home: SourceExperiment, experiment_id: ExperimentId, count: Counter[str]) -> None:
        for model in self._source.each_logged_model(home.id):
            try:
                self._take_logged_model(model, experiment_id, count)
            except ENDS_ALL:
                raise
            except PenstockError as error:
                self._differences.append(f"logged model {model.id} of {home.name!r} was not imported whole: {error}")

    def _take_logged_model(self, model: SourceLoggedModel, experiment_id: ExperimentId, count: Counter[str]) -> None:
        service = self._services.logged_models
        found = self._lister.list_files(model)
        here = find_logged_model(self._services, model.id)
        kept = {} if here is None else self._files.list_kept(model)
        stale = self._files.find_stale(model, found.files, kept)
        if stale or any(compare_logged_model(model, here)):
            service.take_over_logged_model(to_taken_model(model, experiment_id, keeps_uri=self._keeps_uri(found)))
            service.settle_logged_model(model.id)
            failpoints.hit("import.logged_model.begun")
            send_model_points(self._services, model.id, model.points)
            for file in stale:
                self._files.copy(model, file)
            failpoints.hit("import.logged_model.files")
            service.settle_logged_model(model.id, to_moment(model.updated_ms) if model.is_deleted else None)
            here = find_logged_model(self._services, model.id)
            kept = self._files.list_kept(model)
        self._differences.extend(f"logged model {model.id}: {each}" for each in compare_logged_model(model, here))
        sizes = [each.size_bytes for each in kept.values()]
        count.update(logged_models=1, files=len(sizes), size_bytes=sum(sizes))

    def _settle(self, experiment: SourceExperiment, home: Experiment) -> None:
        """End an experiment whose runs and models are all there, and compare it."""
        deleted_at = to_moment(experiment.updated_ms) if experiment.is_deleted else None
        self._services.taking_over.settle_experiment(home.id, to_moment(experiment.updated_ms), deleted_at)
        here = self._services.experiments.get_experiment(home.name)
        where = f"experiment {home.name!r}"
        for key, value in experiment.tags.items():
            if here.tags.get(key) != value:
                self._differences.append(f"{where}: tag {key!r} differs")
        if (here.deleted_at is not None) != experiment.is_deleted:
            self._differences.append(f"{where}: it is deleted on one side only")

    def _take_models(self, taker: ModelTaker, models: Sequence[SourceModel]) -> None:
        if models:
            self._progress.begin("models", None)
        for model in models:
            try:
                taker.take(model)
                failpoints.hit("import.model.done")
                self._differences.extend(compare_model(self._services, model))
            except ENDS_ALL:
                raise
            except PenstockError as error:
                self._differences.append(f"model {model.name!r} was not imported whole: {error}")

    def _keeps_uri(self, found: OwnerFiles) -> bool:
        return bool(found.problem) or not self._with_artifacts


def choose(source: Source, name: str) -> list[SourceExperiment]:
    """The experiments of a source, or the one of a name; NotFoundError where there is none."""
    found = source.list_experiments()
    if not name:
        return found
    chosen = [each for each in found if each.name == name]
    if not chosen:
        names = [each.name for each in found]
        raise NotFoundError(f"{source.label} has no experiment {name!r}", hint=nearest_hint(name, names[:1_000]))
    return chosen


def count_run(run: RunSummary) -> dict[str, int]:
    """A run in the numbers of a report."""
    points = sum(each.points for each in run.metrics.values())
    return {"runs": 1, "params": run.params, "tags": run.tags, "metrics": len(run.metrics), "points": points}

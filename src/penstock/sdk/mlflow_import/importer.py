"""The loop of an import: experiments, their runs, then models; what is here already is left as it is."""

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
from penstock.sdk.mlflow_import.models import ModelTaker
from penstock.sdk.mlflow_import.report import ImportedExperiment, ImportReport
from penstock.sdk.mlflow_import.runs import (
    RunFiles,
    find_missing,
    list_kept,
    send_file,
    send_points,
    summarize_source,
    to_taken,
)
from penstock.sdk.mlflow_import.source import (
    Progress,
    Source,
    SourceExperiment,
    SourceModel,
    SourceRun,
    UnreadableArtifactsError,
)
from penstock.sdk.mlflow_import.verifying import Verifier
from penstock.tracking.taking_over import TakenExperiment, to_moment
from penstock.tracking.types import Experiment

ENDS_ALL = (UnavailableError, PermissionDeniedError, StorageFullError)  # no other run would fare better


class Importer:
    """Takes an MLflow store over. Stopped at any point and started again, it ends with the same.

    Args:
        source: the store.
        services: where everything goes.
        with_artifacts: whether the files are copied, or stay where they are.
        progress: is told of each step.
    """

    def __init__(self, source: Source, services: Services, *, with_artifacts: bool, progress: Progress) -> None:
        self._source = source
        self._services = services
        self._with_artifacts = with_artifacts
        self._progress = progress
        self._problems: list[str] = []
        self._skipped: dict[str, str] = {}  # by run: why its artifacts cannot be read
        self._roots: dict[str, str] = {}  # the artifact URIs of the runs that made versions

    def run(self, experiment: str = "") -> ImportReport:
        """Import everything, or one experiment and no models; then compare all of it with the source."""
        chosen = self._choose(experiment)
        models = [] if experiment else self._source.list_models()
        self._roots = {version.run_id: "" for model in models for version in model.versions}
        homes: list[tuple[SourceExperiment, Experiment]] = []
        written: list[tuple[int, int]] = []
        for each in chosen:
            home = self._open(each)
            if home is not None:
                homes.append((each, home))
                written.append(self._take_runs(each, home.id))
        self._take_models(models)
        verifier = Verifier(self._source, self._services, self._list_files, self._progress)
        compared = [
            verifier.compare_experiment(each, home, taken, known)
            for (each, home), (taken, known) in zip(homes, written, strict=True)
        ]
        verifier.compare_models(models)
        return self._report(compared, models, verifier.differences)

    def _report(
        self, compared: Sequence[ImportedExperiment], models: Sequence[SourceModel], differences: Sequence[str]
    ) -> ImportReport:
        return ImportReport(
            source=self._source.label,
            into=self._services.place,
            experiments=tuple(compared),
            models=len(models),
            versions=sum(not version.is_deleted for model in models for version in model.versions),
            differences=tuple(dict.fromkeys([*self._problems, *differences])),
            skipped=tuple(self._skipped.values()),
        )

    def _choose(self, name: str) -> list[SourceExperiment]:
        found = self._source.list_experiments()
        if not name:
            return found
        chosen = [each for each in found if each.name == name]
        if not chosen:
            names = [each.name for each in found]
            raise NotFoundError(
                f"{self._source.label} has no experiment {name!r}", hint=nearest_hint(name, names[:1_000])
            )
        return chosen

    def _open(self, experiment: SourceExperiment) -> Experiment | None:
        taken = TakenExperiment(
            name=experiment.name,
            wanted_id=ExperimentId(int(experiment.id) if experiment.id.isdigit() else 0),
            created_at=to_moment(experiment.created_ms),
            updated_at=to_moment(experiment.updated_ms),
            tags=experiment.tags,
        )
        try:
            return self._services.taking_over.take_over_experiment(taken)
        except ENDS_ALL:
            raise
        except PenstockError as error:
            self._problems.append(f"experiment {experiment.name!r} was not imported: {error.message}")
            return None

    def _take_runs(self, home: SourceExperiment, experiment_id: ExperimentId) -> tuple[int, int]:
        """Write the runs that are not here; how many those were, and how many were here."""
        self._progress.begin(f"importing {home.name}", self._source.count_runs(home.id))
        taken = known = 0
        for run in self._source.each_run(home.id):
            try:
                if self._take_run(home, run, experiment_id):
                    taken += 1
                else:
                    known += 1
            except ENDS_ALL:
                raise
            except PenstockError as error:
                self._problems.append(f"run {run.id} of {home.name!r} was not imported whole: {error.message}")
            self._progress.advance()
        deleted_at = to_moment(home.updated_ms) if home.is_deleted else None
        self._services.taking_over.settle_experiment(experiment_id, to_moment(home.updated_ms), deleted_at)
        return taken, known

    def _take_models(self, models: Sequence[SourceModel]) -> None:
        if models:
            self._progress.begin("importing models", None)
        taker = ModelTaker(self._services, self._roots, with_artifacts=self._with_artifacts)
        for model in models:
            try:
                taker.take(model)
            except ENDS_ALL:
                raise
            except PenstockError as error:
                self._problems.append(f"model {model.name!r} was not imported whole: {error.message}")
            failpoints.hit("import.model.done")
        self._skipped.update((each, each) for each in taker.skipped)

    def _take_run(self, home: SourceExperiment, run: SourceRun, experiment_id: ExperimentId) -> bool:
        """Write what is not here of a run; False when all of it is."""
        if run.id in self._roots:
            self._roots[run.id] = run.artifact_uri
        found = self._list_files(run)
        taken = to_taken(run, experiment_id, keeps_uri=bool(found.problem) or not self._with_artifacts)
        wanted = summarize_source(self._source, home, run, taken)
        held = self._services.taking_over.summarize_run(taken.id)
        missing = list(find_missing(found.files, {} if held is None else list_kept(self._services, taken.id)))
        if held == wanted and not missing:
            return False
        self._services.taking_over.take_over_run(taken)
        failpoints.hit("import.run.begun")
        for key, summary in wanted.metrics.items():
            if held is None or held.metrics.get(key) != summary:
                send_points(self._services, taken.id, key, self._source.read_points(run, key))
        failpoints.hit("import.run.points")
        for file in missing:
            send_file(self._services, self._source, run, file)
        failpoints.hit("import.run.files")
        self._services.taking_over.settle_run(taken.id, wanted.deleted_at)
        return True

    def _list_files(self, run: SourceRun) -> RunFiles:
        if not self._with_artifacts:
            return RunFiles()
        try:
            return RunFiles(tuple(self._source.list_files(run)))
        except UnreadableArtifactsError as error:
            hint = f"; {error.hint}" if error.hint else ""
            self._skipped[run.id] = f"artifacts of run {run.id}: {error.message}{hint}"
            return RunFiles(problem=error.message)

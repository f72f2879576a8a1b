"""The verbs of what runs read and made."""

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import ExperimentId, Ref, RunId
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads
from penstock.tracking.facts import no_run
from penstock.tracking.inputs.store import CONTEXT, InputStore
from penstock.tracking.inputs.types import (
    DIGEST_LIMIT,
    NAME_LIMIT,
    PROFILE_LIMIT,
    SCHEMA_LIMIT,
    SOURCE_LIMIT,
    DatasetInput,
    DatasetSummary,
    LoggedDataset,
    ModelOutput,
    RunInputs,
)
from penstock.tracking.names import check_key, check_texts

BATCH_LIMIT = 1_000  # datasets or models
EXPERIMENTS_LIMIT = 20
SUMMARY_LIMIT = 1_000
OURS = "penstock"  # the source type of a dataset version that this project keeps
_CONTEXT_LIMIT = 500  # characters
_LIMITS = {
    "name": NAME_LIMIT,
    "digest": DIGEST_LIMIT,
    "source_type": 100,
    "source": SOURCE_LIMIT,
    "schema": SCHEMA_LIMIT,
    "profile": PROFILE_LIMIT,
}


class InputService:
    """Datasets and logged models as inputs of runs, and logged models as their outputs."""

    noun = "inputs"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = InputStore(db)

    @logs
    def log_inputs(
        self,
        tx: Transaction,
        run_id: RunId,
        datasets: Sequence[DatasetInput] = (),
        models: Sequence[str] = (),
    ) -> None:
        """Note what a run read; naming it again changes nothing.

        A dataset whose source type is `penstock` and whose source is a reference such as `dataset-version:events/2`
        joins the lineage of the run.

        Args:
            run_id: the run, which may have ended.
            datasets: each with tags that say what it was read for, such as `mlflow.data.context`.
            models: ids of logged models.

        Raises:
            ConflictError: the run is deleted.
        """
        _check_count([*datasets, *models])
        for place, given in enumerate(datasets):
            _check_dataset(given, f"datasets[{place}]")
        models = [check_key(model_id, "models") for model_id in dict.fromkeys(models)]
        number, experiment_id = self._find_run(tx, run_id)
        for given in datasets:
            self._store.add_dataset_input(tx, number, experiment_id, given)
            source = find_version(given.dataset)
            if source is not None:
                self._store.add_source(tx, number, source)
                tx.link(source, Ref("run", run_id), "read")
        self._store.add_model_inputs(tx, number, models)
        for model_id in models:
            tx.link(Ref("logged-model", model_id), Ref("run", run_id), "read")

    @logs
    def log_outputs(self, tx: Transaction, run_id: RunId, models: Sequence[ModelOutput]) -> None:
        """Note which logged models a run made, and at which step; naming one again changes nothing.

        Raises:
            ConflictError: the run is deleted.
        """
        _check_count(models)
        for output in models:
            check_key(output.model_id, "models")
        number, _ = self._find_run(tx, run_id)
        self._store.add_outputs(tx, number, models)
        for output in models:
            tx.link(Ref("run", run_id), Ref("logged-model", output.model_id), "logged")

    @reads
    def get_inputs(self, tx: Transaction, run_id: RunId) -> RunInputs:
        """Everything that a run read."""
        self._find_run(tx, run_id, with_deleted=True)
        return self.inputs_of(tx, [run_id])[run_id]

    @reads
    def list_outputs(self, tx: Transaction, run_id: RunId) -> list[ModelOutput]:
        """The logged models that a run made, by step."""
        self._find_run(tx, run_id, with_deleted=True)
        return self.outputs_of(tx, [run_id])[run_id]

    @reads
    def list_logged_datasets(self, tx: Transaction, experiment_ids: list[ExperimentId]) -> list[DatasetSummary]:
        """The datasets that runs of these experiments read, once for each context; at most 1,000."""
        if not 1 <= len(experiment_ids) <= EXPERIMENTS_LIMIT:
            raise InvalidInputError(
                f"name 1 to {EXPERIMENTS_LIMIT} experiments, not {len(experiment_ids)}", field="experiment_ids"
            )
        return self._store.list_datasets(tx, experiment_ids, SUMMARY_LIMIT)

    def runs_with_any(self, tx: Transaction, numbers: Sequence[int]) -> set[int]:
        """Those of the runs with these internal numbers that read or made anything."""
        return self._store.runs_with_any(tx, numbers)

    def inputs_of(self, tx: Transaction, run_ids: Sequence[str]) -> dict[str, RunInputs]:
        """What each of these runs read."""
        datasets: dict[str, list[DatasetInput]] = {run_id: [] for run_id in run_ids}
        models: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
        for run_id, dataset in self._store.datasets_of(tx, run_ids):
            datasets[run_id].append(dataset)
        for run_id, model_id in self._store.models_of(tx, run_ids):
            models[run_id].append(model_id)
        return {run_id: RunInputs(datasets=tuple(datasets[run_id]), models=tuple(models[run_id])) for run_id in run_ids}

    def outputs_of(self, tx: Transaction, run_ids: Sequence[str]) -> dict[str, list[ModelOutput]]:
        """What each of these runs made."""
        made: dict[str, list[ModelOutput]] = {run_id: [] for run_id in run_ids}
        for run_id, output in self._store.outputs_of(tx, run_ids):
            made[run_id].append(output)
        return made

    def _find_run(self, tx: Transaction, run_id: RunId, *, with_deleted: bool = False) -> tuple[int, ExperimentId]:
        run = self._store.find_run(tx, run_id)
        if run is None:
            raise no_run(run_id)
        if run.deleted_at is not None and not with_deleted:
            raise ConflictError(
                f"The run {run_id} must be in the 'active' state. Current state is deleted", hint="restore it first"
            )
        return run.number, ExperimentId(run.experiment_id)


def find_version(dataset: LoggedDataset) -> Ref | None:
    """The dataset version of this project that a logged dataset stands for, where its source says so.

    The source is the reference itself, or a JSON object that holds it as `uri`.
    """
    if dataset.source_type != OURS:
        return None
    try:
        ref = Ref.parse(_read_uri(dataset.source))
    except InvalidInputError:
        return None
    name, _, version = ref.id.rpartition("/")
    return ref if ref.kind == "dataset-version" and name and version.isdigit() else None


def _read_uri(source: str) -> str:
    try:
        held: Any = msgspec.json.decode(source)
    except (msgspec.DecodeError, RecursionError):
        return source
    uri = held.get("uri") if isinstance(held, dict) else held
    return uri if isinstance(uri, str) else source


def _check_count(given: Sequence[Any]) -> None:
    if len(given) > BATCH_LIMIT:
        raise InvalidInputError(f"{len(given)} inputs or outputs in one call", hint=f"send {BATCH_LIMIT} at a time")


def _check_dataset(given: DatasetInput, place: str) -> None:
    for field, limit in _LIMITS.items():
        text = getattr(given.dataset, field)
        if len(text) > limit:
            where = f"{place}.dataset.{field}"
            told = f"'{field}' exceeds the maximum length of {limit} characters: {where} has {len(text)}"
            raise InvalidInputError(told, field=where)
    if not given.dataset.name or not given.dataset.digest:
        field = f"{place}.dataset.{'digest' if given.dataset.name else 'name'}"
        raise InvalidInputError(f"Missing value for required parameter '{field}'", field=field)
    check_texts(given.tags, f"{place}.tags")
    if len(given.tags.get(CONTEXT, "")) > _CONTEXT_LIMIT:
        raise InvalidInputError(f"{place}.tags: {CONTEXT} has more than {_CONTEXT_LIMIT} characters", field=place)

"""The SQL of what runs read and made: one query per method, no rules."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Dialect, Select, Table, select

from penstock.core.filters import Comparator
from penstock.core.ids import ExperimentId, Ref
from penstock.storage.database import Database
from penstock.storage.matching import compare_text
from penstock.storage.records import fetch
from penstock.storage.transaction import Transaction
from penstock.tracking.comparing import Value
from penstock.tracking.inputs.tables import dataset_inputs, logged_datasets, model_inputs, model_outputs
from penstock.tracking.inputs.types import DatasetInput, DatasetSummary, LoggedDataset, ModelOutput
from penstock.tracking.tables import run_inputs, runs

CONTEXT = "mlflow.data.context"  # the tag that says what a dataset was read for
_CHUNK = 500  # ids in one query
_DATASET = ("experiment_id", "name", "digest")


class InputStore:
    """Reads and writes the inputs and outputs of runs."""

    def __init__(self, db: Database) -> None:
        self._marked: Dialect = type(db.engine.dialect)(paramstyle="qmark")  # type: ignore[call-arg]  # each takes it
        self._add_dataset = db.upsert(logged_datasets, keys=_DATASET, update=())
        self._add_dataset_input = db.upsert(dataset_inputs, keys=("run", "dataset"), update=())
        self._add_model_input = db.upsert(model_inputs, keys=("run", "model_id"), update=())
        self._add_output = db.upsert(model_outputs, keys=("run", "model_id", "step"), update=())
        self._add_source = db.upsert(run_inputs, keys=("run", "source"), update=())

    def find_run(self, tx: Transaction, run_id: str) -> Any:
        """Number, experiment and moment of deletion of a run; None when there is none."""
        query = select(runs.c.number, runs.c.experiment_id, runs.c.deleted_at).where(runs.c.id == run_id)
        return tx.execute(query).one_or_none()

    def add_dataset_input(self, tx: Transaction, run: int, experiment_id: ExperimentId, given: DatasetInput) -> None:
        """Note that a run read a dataset; one that is known stays as it was described first."""
        dataset = given.dataset
        row = {name: getattr(dataset, name) for name in dataset.__struct_fields__}
        tx.execute(self._add_dataset, [row | {"experiment_id": experiment_id}])
        held = logged_datasets.c
        same = (held.experiment_id == experiment_id, held.name == dataset.name, held.digest == dataset.digest)
        number = tx.execute(select(held.number).where(*same)).scalar_one()
        tags = {key: value for key, value in given.tags.items() if key != CONTEXT}
        context = given.tags.get(CONTEXT, "")
        tx.execute(self._add_dataset_input, [{"run": run, "dataset": number, "context": context, "tags": tags}])

    def add_model_inputs(self, tx: Transaction, run: int, models: Sequence[str]) -> None:
        """Note that a run read these logged models."""
        if models:
            tx.execute(self._add_model_input, [{"run": run, "model_id": model_id} for model_id in models])

    def add_outputs(self, tx: Transaction, run: int, outputs: Sequence[ModelOutput]) -> None:
        """Note that a run made these logged models."""
        rows = [{"run": run, "model_id": output.model_id, "step": output.step} for output in outputs]
        if rows:
            tx.execute(self._add_output, rows)

    def add_source(self, tx: Transaction, run: int, source: Ref) -> None:
        """Note that a run read something that this project keeps."""
        tx.execute(self._add_source, [{"run": run, "source": str(source), "relation": "read"}])

    def datasets_of(self, tx: Transaction, run_ids: Sequence[str]) -> Iterator[tuple[str, DatasetInput]]:
        """Run id and dataset of every dataset that these runs read."""
        held = logged_datasets.c
        for chunk in _in_chunks(run_ids):
            query = _of_runs(dataset_inputs, chunk).join(logged_datasets, held.number == dataset_inputs.c.dataset)
            query = query.add_columns(*(held[name] for name in LoggedDataset.__struct_fields__))
            for row in tx.execute(query.order_by(dataset_inputs.c.run, dataset_inputs.c.dataset)):
                fields = {name: getattr(row, name) for name in LoggedDataset.__struct_fields__}
                tags = ({CONTEXT: row.context} if row.context else {}) | row.tags
                yield row.run_id, DatasetInput(dataset=LoggedDataset(**fields), tags=tags)

    def models_of(self, tx: Transaction, run_ids: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Run id and model id of every logged model that these runs read."""
        for chunk in _in_chunks(run_ids):
            query = _of_runs(model_inputs, chunk).order_by(model_inputs.c.run, model_inputs.c.model_id)
            yield from ((row.run_id, row.model_id) for row in tx.execute(query))

    def outputs_of(self, tx: Transaction, run_ids: Sequence[str]) -> Iterator[tuple[str, ModelOutput]]:
        """Run id and model of every logged model that these runs made, by step."""
        held = model_outputs.c
        for chunk in _in_chunks(run_ids):
            query = _of_runs(model_outputs, chunk).order_by(held.run, held.step, held.model_id)
            for row in tx.execute(query):
                yield row.run_id, ModelOutput(model_id=row.model_id, step=row.step)

    def runs_with_any(self, tx: Transaction, numbers: Sequence[int]) -> set[int]:
        """Those of the runs with these numbers that read or made anything at all; mostly few of a page do."""
        found: set[int] = set()
        for start in range(0, len(numbers), _CHUNK):
            chunk = numbers[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            tables = (dataset_inputs, model_inputs, model_outputs)
            text = " UNION ".join(f"SELECT run FROM {table.name} WHERE run IN ({marks})" for table in tables)
            found.update(row[0] for row in fetch(tx.connection, text, [*chunk] * len(tables)))
        return found

    def list_datasets(
        self, tx: Transaction, experiment_ids: Sequence[ExperimentId], limit: int
    ) -> list[DatasetSummary]:
        """The datasets of experiments, once for each context in which runs read them."""
        held = logged_datasets.c
        columns = (held.experiment_id, held.name, held.digest, dataset_inputs.c.context)
        query = select(*columns).join(dataset_inputs, dataset_inputs.c.dataset == held.number).distinct()
        query = query.where(held.experiment_id.in_(experiment_ids)).order_by(*columns).limit(limit)
        return [DatasetSummary(**row._asdict()) for row in tx.execute(query)]

    def runs_with_dataset(self, comparator: Comparator, field: str, value: Value) -> Select[Any]:
        """A query for the numbers of the runs that read a fitting dataset, to be a part of a search for runs.

        Args:
            comparator: of texts.
            field: `name`, `digest` or `context`.
            value: what the field is compared with.
        """
        if field == "context":
            fits = compare_text(dataset_inputs.c.context, comparator, value)
            return select(dataset_inputs.c.run).where(fits, dataset_inputs.c.context != "")
        fits = compare_text(logged_datasets.c[field], comparator, value)
        joined = select(dataset_inputs.c.run).join(
            logged_datasets, logged_datasets.c.number == dataset_inputs.c.dataset
        )
        return joined.where(fits)

    def runs_with_dataset_text(self, comparator: Comparator, field: str, value: Value) -> tuple[str, tuple[Any, ...]]:
        """The query of `runs_with_dataset` as SQL, with `?` for each of the values that come with it."""
        query = self.runs_with_dataset(comparator, field, value)
        compiled = query.compile(dialect=self._marked, compile_kwargs={"render_postcompile": True})
        return str(compiled), tuple(compiled.params[name] for name in compiled.positiontup or ())


def _of_runs(table: Table, run_ids: Sequence[str]) -> Select[Any]:
    """The rows of a table that belong to these runs, with the id of each run."""
    joined = select(runs.c.id.label("run_id"), table).join(runs, runs.c.number == table.c.run)
    return joined.where(runs.c.id.in_(run_ids))


def _in_chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]

"""The operations on what runs read and made."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct, structs

from penstock.core.errors import InvalidInputError
from penstock.core.identity import Role
from penstock.core.ids import ExperimentId, RunId
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.entities import (
    KeyValue,
    WireRun,
    from_pairs,
    parse_experiment_id,
    to_pairs,
    to_run,
)
from penstock.storage.transaction import Transaction
from penstock.tracking.inputs.service import InputService
from penstock.tracking.inputs.types import DatasetInput, LoggedDataset, ModelOutput, RunInputs
from penstock.tracking.types import Run

EXPERIMENTS_LIMIT = 20
_Text = Annotated[str, Meta(min_length=1)]


class Dataset(Struct, omit_defaults=True):
    """A dataset as a run describes it."""

    name: _Text
    digest: _Text
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetWithTags(Struct, omit_defaults=True):
    """A dataset that a run read."""

    dataset: Dataset
    tags: list[KeyValue] = []


class InputModel(Struct):
    """A logged model that a run read."""

    model_id: _Text


class OutputModel(Struct):
    """A logged model that a run made."""

    model_id: _Text
    step: int = 0


class LogInputs(Struct):
    """What a run read."""

    run_id: _Text
    datasets: list[DatasetWithTags] = []
    models: list[InputModel] = []


class LogOutputs(Struct):
    """What a run made."""

    run_id: _Text
    models: list[OutputModel]


class SearchDatasets(Struct):
    """Whose datasets are asked for."""

    experiment_ids: list[str] = []


class DatasetSummary(Struct, omit_defaults=True):
    """A dataset that runs read in one context."""

    experiment_id: str
    name: str
    digest: str
    context: str = ""


class DatasetsAnswer(Struct, omit_defaults=True):
    """What runs of some experiments read."""

    dataset_summaries: list[DatasetSummary] = []


class Inputs(Struct, omit_defaults=True):
    """What a run read, as it stands in the answers about runs."""

    dataset_inputs: list[DatasetWithTags] = []
    model_inputs: list[InputModel] = []


class Outputs(Struct, omit_defaults=True):
    """What a run made, as it stands in the answers about runs."""

    model_outputs: list[OutputModel] = []


async def log_inputs(call: Call, request: LogInputs) -> None:
    """Note what a run read."""
    datasets = [
        DatasetInput(
            dataset=LoggedDataset(**{name: getattr(given.dataset, name) for name in Dataset.__struct_fields__}),
            tags=from_pairs(given.tags, "tags"),
        )
        for given in request.datasets
    ]
    models = [each.model_id for each in request.models]
    await call.write(call.services.inputs.log_inputs.join, RunId(request.run_id), datasets, models)


async def log_outputs(call: Call, request: LogOutputs) -> None:
    """Note what a run made."""
    models = [ModelOutput(model_id=each.model_id, step=each.step) for each in request.models]
    await call.write(call.services.inputs.log_outputs.join, RunId(request.run_id), models)


async def search_datasets(call: Call, request: SearchDatasets) -> DatasetsAnswer:
    """The datasets that runs of some experiments read."""
    asked = request.experiment_ids
    if not asked:
        raise InvalidInputError("SearchDatasets request must specify at least one experiment_id.")
    if len(asked) > EXPERIMENTS_LIMIT:
        raise InvalidInputError(
            f"SearchDatasets request cannot specify more than {EXPERIMENTS_LIMIT} experiment_ids. "
            f"Received {len(asked)} experiment_ids"
        )
    ids = [ExperimentId(parse_experiment_id(each, "experiment_ids")) for each in asked]
    found = await call.read(call.services.inputs.list_logged_datasets.join, ids)
    return DatasetsAnswer(
        [DatasetSummary(str(each.experiment_id), each.name, each.digest, each.context) for each in found]
    )


def to_runs(tx: Transaction, service: InputService, runs: Sequence[Run]) -> list[WireRun]:
    """Runs in the protocol's form, with what they read and made."""
    ids = [run.id for run in runs]
    inputs, outputs = service.inputs_of(tx, ids), service.outputs_of(tx, ids)
    return [
        structs.replace(to_run(run), inputs=to_inputs(inputs[run.id]), outputs=to_outputs(outputs[run.id]))
        for run in runs
    ]


def to_inputs(inputs: RunInputs) -> Inputs:
    """What a run read, in the protocol's form."""
    datasets = [
        DatasetWithTags(
            Dataset(**{name: getattr(given.dataset, name) for name in Dataset.__struct_fields__}), to_pairs(given.tags)
        )
        for given in inputs.datasets
    ]
    return Inputs(datasets, [InputModel(model_id) for model_id in inputs.models])


def to_outputs(outputs: list[ModelOutput]) -> Outputs:
    """What a run made, in the protocol's form."""
    return Outputs([OutputModel(each.model_id, each.step) for each in outputs])


ENDPOINTS = [
    Endpoint("POST", "runs/log-inputs", log_inputs, Role.CONTRIBUTOR, LogInputs),
    Endpoint("POST", "runs/outputs", log_outputs, Role.CONTRIBUTOR, LogOutputs),
    Endpoint(  # MLflow answers it nowhere else
        "POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", search_datasets, Role.READER, SearchDatasets
    ),
]

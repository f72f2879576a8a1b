"""The operations on logged models."""

import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from penstock.core.errors import InvalidInputError
from penstock.core.identity import Role
from penstock.core.ids import ExperimentId, RunId
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.entities import KeyValue, from_pairs, parse_experiment_id, to_ms, to_pairs
from penstock.server.protocols.mlflow.errors import invalid
from penstock.storage.transaction import Transaction
from penstock.tracking.facts import Facts
from penstock.tracking.logged_models.types import (
    DatasetFilter,
    LoggedModel,
    LoggedModelStatus,
    ModelMetric,
    ModelOrder,
)
from penstock.tracking.names import check_texts
from penstock.tracking.service import TrackingService
from penstock.tracking.types import NonFinite

PAGE_DEFAULT, PAGE_LIMIT = 100, 1_000
HISTORY = "mlflow.log-model.history"  # the tag in which clients before 3.0 keep what a run logged
_STATUSES: dict[str | int, LoggedModelStatus] = {
    "LOGGED_MODEL_PENDING": LoggedModelStatus.PENDING,
    "LOGGED_MODEL_READY": LoggedModelStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": LoggedModelStatus.UPLOAD_FAILED,
    1: LoggedModelStatus.PENDING,
    2: LoggedModelStatus.READY,
    3: LoggedModelStatus.UPLOAD_FAILED,
}
_Text = Annotated[str, Meta(min_length=1)]


class CreateModel(Struct):
    """Announces a model whose files come next."""

    experiment_id: _Text
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class ModelName(Struct):
    """Which model is meant."""

    model_id: _Text
    allow_deleted: bool = False


class FinishModel(Struct):
    """How the upload went."""

    model_id: _Text
    status: str | int


class ModelTags(Struct):
    """Tags to set."""

    model_id: _Text
    tags: list[KeyValue] = []


class ModelTag(Struct):
    """A tag to forget."""

    model_id: _Text
    tag_key: _Text


class ModelParams(Struct):
    """Parameters to add."""

    model_id: _Text
    params: list[KeyValue] = []


class SearchedDataset(Struct):
    """Which measurements count."""

    dataset_name: _Text
    dataset_digest: str = ""


class SearchedOrder(Struct):
    """One term of an order."""

    field_name: _Text
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchModels(Struct):
    """What to look for."""

    experiment_ids: Annotated[list[str], Meta(min_length=1)]
    filter: str = ""
    datasets: list[SearchedDataset] = []
    max_results: int = PAGE_DEFAULT
    order_by: list[SearchedOrder] = []
    page_token: str = ""


class LogModel(Struct):
    """What a client before 3.0 says of a model it logged."""

    run_id: _Text
    model_json: _Text


class Metric(Struct, omit_defaults=True):
    """One point that was measured of a model."""

    key: str
    value: float | NonFinite
    timestamp: int
    step: int
    model_id: str
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


class ModelInfo(Struct, omit_defaults=True):
    """What is known of a model."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    creator_id: str = ""
    model_type: str = ""
    source_run_id: str = ""
    status_message: str = ""
    tags: list[KeyValue] = []


class ModelData(Struct, omit_defaults=True):
    """What was logged to a model."""

    params: list[KeyValue] = []
    metrics: list[Metric] = []


class Model(Struct):
    """A model with everything that belongs to it."""

    info: ModelInfo
    data: ModelData


class ModelAnswer(Struct):
    """One model."""

    model: Model


class ModelsAnswer(Struct, omit_defaults=True):
    """A page of models."""

    models: list[Model] = []
    next_page_token: str = ""


async def create_model(call: Call, request: CreateModel) -> ModelAnswer:
    """Announce a model."""
    model = await call.write(
        call.services.logged_models.create_logged_model.join,
        ExperimentId(parse_experiment_id(request.experiment_id)),
        name=request.name,
        model_type=request.model_type,
        source_run_id=request.source_run_id,
        params=_unique(request.params),
        tags=from_pairs(request.tags, "tags"),
    )
    return ModelAnswer(to_model(model))


async def get_model(call: Call, request: ModelName) -> ModelAnswer:
    """A model."""
    verb = call.services.logged_models.get_logged_model.join
    return ModelAnswer(to_model(await call.read(verb, request.model_id, with_deleted=request.allow_deleted)))


async def finish_model(call: Call, request: FinishModel) -> ModelAnswer:
    """Say how the upload went."""
    status = _STATUSES.get(request.status)
    if status is None:
        raise invalid("status", request.status, f"use one of {', '.join(map(str, _STATUSES))}")
    verb = call.services.logged_models.finish_logged_model.join
    return ModelAnswer(to_model(await call.write(verb, request.model_id, status)))


async def delete_model(call: Call, request: ModelName) -> None:
    """Delete a model."""
    await call.write(call.services.logged_models.delete_logged_model.join, request.model_id)


async def set_tags(call: Call, request: ModelTags) -> None:
    """Set tags of a model."""
    verb = call.services.logged_models.set_logged_model_tags.join
    await call.write(verb, request.model_id, from_pairs(request.tags, "tags"))


async def delete_tag(call: Call, request: ModelTag) -> None:
    """Forget a tag of a model."""
    await call.write(call.services.logged_models.remove_logged_model_tag.join, request.model_id, request.tag_key)


async def log_params(call: Call, request: ModelParams) -> None:
    """Add parameters to a model."""
    verb = call.services.logged_models.log_logged_model_params.join
    await call.write(verb, request.model_id, _unique(request.params))


async def search_models(call: Call, request: SearchModels) -> ModelsAnswer:
    """Models that fit."""
    if request.max_results < 0:
        raise invalid("max_results", request.max_results, "it has to be above 0")
    page = await call.read(
        call.services.logged_models.search_logged_models.join,
        [ExperimentId(parse_experiment_id(each, "experiment_ids")) for each in request.experiment_ids],
        filter=request.filter,
        datasets=[DatasetFilter(name=each.dataset_name, digest=each.dataset_digest) for each in request.datasets],
        order_by=[
            ModelOrder(
                field=term.field_name,
                is_ascending=term.ascending,
                dataset_name=term.dataset_name,
                dataset_digest=term.dataset_digest,
            )
            for term in request.order_by
        ],
        limit=min(request.max_results or PAGE_DEFAULT, PAGE_LIMIT),
        after=request.page_token,
    )
    return ModelsAnswer([to_model(model) for model in page.models], page.next)


async def log_model(call: Call, request: LogModel) -> None:
    """Note a model among the run's tags."""
    entry = _read_history_entry(request.model_json)
    await call.write(_add_to_history, call.services.tracking, RunId(request.run_id), entry)


def to_model(model: LoggedModel) -> Model:
    """A model in the protocol's form."""
    info = ModelInfo(
        model_id=model.id,
        experiment_id=str(model.experiment_id),
        name=model.name,
        creation_timestamp_ms=to_ms(model.created_at),
        last_updated_timestamp_ms=to_ms(model.updated_at),
        artifact_uri=model.artifact_uri,
        status=f"LOGGED_MODEL_{model.status.name}",
        model_type=model.model_type,
        source_run_id=model.source_run_id,
        status_message=model.status_message,
        tags=to_pairs(model.tags),
    )
    metrics = [_to_metric(model.id, metric) for metric in model.metrics]
    return Model(info, ModelData(to_pairs(model.params), metrics))


def _to_metric(model_id: str, metric: ModelMetric) -> Metric:
    return Metric(
        key=metric.key,
        value=metric.value,
        timestamp=to_ms(metric.at),
        step=metric.step,
        model_id=model_id,
        run_id=metric.run_id,
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
    )


def _unique(params: list[KeyValue]) -> dict[str, str]:
    """Parameters by key; they never change, so none may come twice with two values."""
    found: dict[str, str] = {}
    for place, pair in enumerate(params):
        if found.setdefault(pair.key, pair.value) != pair.value:
            raise invalid(f"params[{place}].key", pair.key, "this parameter comes twice, with two values")
    return found


def _read_history_entry(text: str) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError(f"Malformed model info. model_json is not a valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise invalid("model_json", text, "it has to be a JSON object")
    lacking = [name for name in ("artifact_path", "flavors", "utc_time_created", "run_id") if name not in given]
    if lacking:
        raise InvalidInputError(f"Model json is missing mandatory fields: {', '.join(lacking)}", field="model_json")
    kept = ("run_id", "artifact_path", "utc_time_created", "model_uuid", "flavors")
    return {name: given.get(name) for name in kept}


def _add_to_history(tx: Transaction, tracking: TrackingService, run_id: RunId, entry: dict[str, Any]) -> None:
    before = tracking.get_run.join(tx, run_id).tags.get(HISTORY, "[]")
    try:
        entries = json.loads(before)
    except ValueError:
        entries = None
    if not isinstance(entries, list):
        raise InvalidInputError(f"the tag {HISTORY} of run {run_id} holds no list of models", hint="delete the tag")
    tags = check_texts({HISTORY: json.dumps([*entries, entry])}, "tags")
    tracking.facts.join(tx, Facts(run_id, tags=tags, may_be_late=True))


ENDPOINTS = [
    Endpoint("POST", "logged-models", create_model, Role.CONTRIBUTOR, CreateModel),
    Endpoint("POST", "logged-models/search", search_models, Role.READER, SearchModels),
    Endpoint("GET", "logged-models/{model_id}", get_model, Role.READER, ModelName),
    Endpoint("PATCH", "logged-models/{model_id}", finish_model, Role.CONTRIBUTOR, FinishModel),
    Endpoint("DELETE", "logged-models/{model_id}", delete_model, Role.CONTRIBUTOR, ModelName),
    Endpoint("PATCH", "logged-models/{model_id}/tags", set_tags, Role.CONTRIBUTOR, ModelTags),
    Endpoint("DELETE", "logged-models/{model_id}/tags/{tag_key:path}", delete_tag, Role.CONTRIBUTOR, ModelTag),
    Endpoint("POST", "logged-models/{model_id}/params", log_params, Role.CONTRIBUTOR, ModelParams),
    Endpoint("POST", "runs/log-model", log_model, Role.CONTRIBUTOR, LogModel),
]

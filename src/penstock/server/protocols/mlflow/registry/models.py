"""Registered models: make, find, describe, rename, delete, tag."""

from typing import Annotated

from msgspec import Meta, Struct

from penstock.core.errors import AlreadyExistsError
from penstock.core.identity import Role
from penstock.registry.names import check_model_name
from penstock.registry.search import PROMPT_TAG
from penstock.registry.service import RegistryService
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.errors import invalid
from penstock.server.protocols.mlflow.names import check_name
from penstock.server.protocols.mlflow.registry.messages import (
    ModelAnswer,
    ModelsAnswer,
    Tag,
    VersionsAnswer,
    answer_model,
    answer_models,
    answer_versions,
    check_new_name,
    find_exactly,
    read_stage,
    to_dict,
)
from penstock.storage.transaction import Transaction

Required = Annotated[str, Meta(min_length=1)]
MODELS_LIMIT = 1_000


class CreateModel(Struct):
    """A new model."""

    name: Required
    tags: list[Tag] = []
    description: str = ""


class NamedModel(Struct):
    """Which model."""

    name: Required


class UpdateModel(Struct):
    """What a model is for."""

    name: Required
    description: str = ""


class RenameModel(Struct):
    """Another name."""

    name: Required
    new_name: Required


class SearchModels(Struct):
    """Which models."""

    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


class LatestVersions(Struct):
    """The newest versions, of some stages or of each."""

    name: Required
    stages: list[str] = []


class ModelTag(Struct):
    """A tag to set."""

    name: Required
    key: Required
    value: str = ""


class ModelTagKey(Struct):
    """A tag to forget."""

    name: Required
    key: Required


async def create_model(call: Call, request: CreateModel) -> ModelAnswer:
    """Make a model."""
    return await call.write(_create, call.services.registry, request)


async def get_model(call: Call, request: NamedModel) -> ModelAnswer:
    """One model."""
    registry = call.services.registry
    return await call.read(lambda tx: answer_model(tx, registry, find_exactly(tx, registry, request.name)))


async def search_models(call: Call, request: SearchModels) -> ModelsAnswer:
    """Models that fulfil a filter."""
    if not 1 <= request.max_results <= MODELS_LIMIT:
        raise invalid("max_results", request.max_results, f"it must be from 1 to {MODELS_LIMIT}")
    return await call.read(_search, call.services.registry, request)


async def update_model(call: Call, request: UpdateModel) -> ModelAnswer:
    """Describe a model."""
    return await call.write(_update, call.services.registry, request)


async def rename_model(call: Call, request: RenameModel) -> ModelAnswer:
    """Give a model another name."""
    return await call.write(_rename, call.services.registry, request)


async def delete_model(call: Call, request: NamedModel) -> None:
    """Delete a model with its versions."""
    registry = call.services.registry
    await call.write(lambda tx: registry.delete_model.join(tx, find_exactly(tx, registry, request.name).name))


async def get_latest_versions(call: Call, request: LatestVersions) -> VersionsAnswer:
    """The newest version of each stage."""
    return await call.read(_latest, call.services.registry, request)


async def set_tag(call: Call, request: ModelTag) -> None:
    """Set a tag of a model."""
    registry, tags = call.services.registry, {check_name(request.key, "key"): request.value}
    await call.write(lambda tx: registry.set_model_tags.join(tx, find_exactly(tx, registry, request.name).name, tags))


async def delete_tag(call: Call, request: ModelTagKey) -> None:
    """Forget a tag of a model; one that is not there is no error."""
    registry, key = call.services.registry, request.key
    await call.write(lambda tx: registry.delete_model_tag.join(tx, find_exactly(tx, registry, request.name).name, key))


def _create(tx: Transaction, registry: RegistryService, request: CreateModel) -> ModelAnswer:
    tags = to_dict(request.tags)
    try:
        made = registry.create_model.join(tx, check_new_name(request.name), request.description, tags)
    except AlreadyExistsError:
        held = registry.get_model.join(tx, request.name)
        old, new = _kind(held.tags), _kind(tags)
        if old == new == "prompt":
            raise AlreadyExistsError(f"Prompt (name={request.name}) already exists.") from None
        if old != new:
            raise AlreadyExistsError(
                f"Tried to create a {new} with name {request.name!r}, but the name is already taken by a {old}."
            ) from None
        raise
    return answer_model(tx, registry, made)


def _search(tx: Transaction, registry: RegistryService, request: SearchModels) -> ModelsAnswer:
    page = registry.search_models.join(
        tx, request.filter, tuple(request.order_by), request.max_results, request.page_token
    )
    return answer_models(tx, registry, page.models, page.next_page_token)


def _update(tx: Transaction, registry: RegistryService, request: UpdateModel) -> ModelAnswer:
    held = find_exactly(tx, registry, request.name)
    return answer_model(tx, registry, registry.describe_model.join(tx, held.name, request.description))


def _rename(tx: Transaction, registry: RegistryService, request: RenameModel) -> ModelAnswer:
    check_new_name(request.new_name, "new_name")
    held = find_exactly(tx, registry, check_model_name(request.name))
    return answer_model(tx, registry, registry.rename_model.join(tx, held.name, request.new_name))


def _latest(tx: Transaction, registry: RegistryService, request: LatestVersions) -> VersionsAnswer:
    stages = {read_stage(stage) for stage in request.stages}
    (overview,) = registry.overview(tx, [find_exactly(tx, registry, request.name)])
    found = [version for version in overview.latest if not stages or version.stage in stages]
    return answer_versions(tx, registry, found)


def _kind(tags: dict[str, str]) -> str:
    return "prompt" if tags.get(PROMPT_TAG, "").lower() == "true" else "registered model"


ENDPOINTS = [
    Endpoint("POST", "registered-models/create", create_model, Role.CONTRIBUTOR, CreateModel),
    Endpoint("GET", "registered-models/get", get_model, Role.READER, NamedModel),
    Endpoint("GET", "registered-models/search", search_models, Role.READER, SearchModels),
    Endpoint("PATCH", "registered-models/update", update_model, Role.CONTRIBUTOR, UpdateModel),
    Endpoint("POST", "registered-models/rename", rename_model, Role.MAINTAINER, RenameModel),
    Endpoint("DELETE", "registered-models/delete", delete_model, Role.MAINTAINER, NamedModel),
    Endpoint("GET", "registered-models/get-latest-versions", get_latest_versions, Role.READER, LatestVersions),
    Endpoint("POST", "registered-models/get-latest-versions", get_latest_versions, Role.READER, LatestVersions),
    Endpoint("POST", "registered-models/set-tag", set_tag, Role.CONTRIBUTOR, ModelTag),
    Endpoint("DELETE", "registered-models/delete-tag", delete_tag, Role.CONTRIBUTOR, ModelTagKey),
]

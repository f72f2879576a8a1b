"""Versions of registered models: register, find, describe, tag, delete, and where to download them from."""

from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.core.errors import NotFoundError
from penstock.core.identity import Role
from penstock.registry.service import VERSION_LIMIT, RegistryService
from penstock.server.protocols.mlflow.artifacts import version_location
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.errors import invalid
from penstock.server.protocols.mlflow.names import check_name
from penstock.server.protocols.mlflow.registry.messages import (
    Tag,
    VersionAnswer,
    VersionsAnswer,
    answer_version,
    answer_versions,
    find_exactly,
    find_version,
    to_dict,
)
from penstock.server.protocols.mlflow.registry.models import Required
from penstock.server.protocols.mlflow.registry.sources import Claim, find_origin, note_version
from penstock.storage.transaction import Transaction


class CreateVersion(Struct):
    """What is to become a version."""

    name: Required
    source: Required
    run_id: str | None = None
    model_id: str | None = None
    tags: list[Tag] = []
    run_link: str = ""
    description: str = ""


class NamedVersion(Struct):
    """Which version."""

    name: Required
    version: Required


class UpdateVersion(Struct):
    """What is special about a version."""

    name: Required
    version: Required
    description: str = ""


class SearchVersions(Struct):
    """Which versions."""

    filter: str = ""
    max_results: int = 10_000
    order_by: list[str] = []
    page_token: str = ""


class VersionTag(Struct):
    """A tag to set."""

    name: Required
    version: Required
    key: Required
    value: str = ""


class VersionTagKey(Struct):
    """A tag to forget."""

    name: Required
    version: Required
    key: Required


class DownloadUri(Struct, omit_defaults=True):
    """Where a version can be downloaded from."""

    artifact_uri: str = ""


async def create_version(call: Call, request: CreateVersion) -> VersionAnswer:
    """Register what a client has stored."""
    return await call.write(_create, call.services, request)


async def get_version(call: Call, request: NamedVersion) -> VersionAnswer:
    """One version."""
    return await call.read(_get, call.services.registry, request)


async def search_versions(call: Call, request: SearchVersions) -> VersionsAnswer:
    """Versions that fulfil a filter."""
    if not 1 <= request.max_results <= VERSION_LIMIT:
        raise invalid("max_results", request.max_results, f"it must be a positive integer up to {VERSION_LIMIT}")
    return await call.read(_search, call.services.registry, request)


async def update_version(call: Call, request: UpdateVersion) -> VersionAnswer:
    """Describe a version."""
    return await call.write(_update, call.services.registry, request)


async def delete_version(call: Call, request: NamedVersion) -> None:
    """Delete a version; its number is not given again."""
    await call.write(_delete, call.services.registry, request)


async def get_download_uri(call: Call, request: NamedVersion) -> DownloadUri:
    """Where the files of a version are."""
    return await call.read(_locate, call.services.registry, request)


async def set_tag(call: Call, request: VersionTag) -> None:
    """Set a tag of a version."""
    await call.write(_set_tag, call.services.registry, request)


async def delete_tag(call: Call, request: VersionTagKey) -> None:
    """Forget a tag of a version; one that is not there is no error."""
    await call.write(_delete_tag, call.services.registry, request)


def _create(tx: Transaction, services: Services, request: CreateVersion) -> VersionAnswer:
    registry, tags = services.registry, to_dict(request.tags)
    claim = Claim(request.source, request.run_id, request.model_id)
    model = find_exactly(tx, registry, request.name)
    origin = find_origin(tx, services, claim, tags)
    made = registry.add_version.join(
        tx,
        model.name,
        source=origin.source,
        location=origin.location,
        run_id=origin.run_id,
        tree=origin.tree,
        facts=origin.facts,
        logged_model_id=origin.logged_model_id,
        run_link=request.run_link,
        description=request.description,
        tags=tags,
    )
    note_version(tx, services, made)
    return answer_version(tx, registry, made)


def _get(tx: Transaction, registry: RegistryService, request: NamedVersion) -> VersionAnswer:
    return answer_version(tx, registry, find_version(tx, registry, request.name, request.version))


def _search(tx: Transaction, registry: RegistryService, request: SearchVersions) -> VersionsAnswer:
    page = registry.search_versions.join(
        tx, request.filter, tuple(request.order_by), request.max_results, request.page_token
    )
    return answer_versions(tx, registry, page.versions, page.next_page_token)


def _update(tx: Transaction, registry: RegistryService, request: UpdateVersion) -> VersionAnswer:
    held = find_version(tx, registry, request.name, request.version)
    described = registry.describe_version.join(tx, held.model, held.version, request.description)
    return answer_version(tx, registry, described)


def _delete(tx: Transaction, registry: RegistryService, request: NamedVersion) -> None:
    held = find_version(tx, registry, request.name, request.version)
    registry.delete_version.join(tx, held.model, held.version)


def _locate(tx: Transaction, registry: RegistryService, request: NamedVersion) -> DownloadUri:
    held = find_version(tx, registry, request.name, request.version)
    if not held.location and held.tree is None:
        raise NotFoundError(f"Model Version (name={held.model}, version={held.version}) has no files")
    return DownloadUri(held.location or version_location(held))


def _set_tag(tx: Transaction, registry: RegistryService, request: VersionTag) -> None:
    held = find_version(tx, registry, request.name, request.version)
    registry.set_tags.join(tx, held.model, held.version, {check_name(request.key, "key"): request.value})


def _delete_tag(tx: Transaction, registry: RegistryService, request: VersionTagKey) -> None:
    held = find_version(tx, registry, request.name, request.version)
    registry.delete_tag.join(tx, held.model, held.version, request.key)


ENDPOINTS = [
    Endpoint("POST", "model-versions/create", create_version, Role.CONTRIBUTOR, CreateVersion),
    Endpoint("GET", "model-versions/get", get_version, Role.READER, NamedVersion),
    Endpoint("GET", "model-versions/search", search_versions, Role.READER, SearchVersions),
    Endpoint("PATCH", "model-versions/update", update_version, Role.CONTRIBUTOR, UpdateVersion),
    Endpoint("DELETE", "model-versions/delete", delete_version, Role.MAINTAINER, NamedVersion),
    Endpoint("GET", "model-versions/get-download-uri", get_download_uri, Role.READER, NamedVersion),
    Endpoint("POST", "model-versions/set-tag", set_tag, Role.CONTRIBUTOR, VersionTag),
    Endpoint("DELETE", "model-versions/delete-tag", delete_tag, Role.CONTRIBUTOR, VersionTagKey),
]

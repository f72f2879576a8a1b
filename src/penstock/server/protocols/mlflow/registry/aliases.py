"""Aliases of registered models, and the stages that went before them."""

import re

from msgspec import Struct

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.identity import Role
from penstock.registry.names import ALIAS_LIMIT, LATEST
from penstock.registry.service import RegistryService
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.registry.messages import (
    VersionAnswer,
    answer_version,
    find_exactly,
    find_version,
    read_stage,
)
from penstock.server.protocols.mlflow.registry.models import Required
from penstock.storage.transaction import Transaction

_ALIAS = re.compile(r"[\w\-]+")
_VERSION = re.compile(r"[vV][0-9]+")


class SetAlias(Struct):
    """Where an alias is to point."""

    name: Required
    alias: Required
    version: Required


class NamedAlias(Struct):
    """Which alias."""

    name: Required
    alias: Required


class Transition(Struct):
    """A version's new stage."""

    name: Required
    version: Required
    stage: Required
    archive_existing_versions: bool = False


async def set_alias(call: Call, request: SetAlias) -> None:
    """Point an alias at a version."""
    _check_alias(request.alias)
    if request.alias.lower() == LATEST:
        raise InvalidInputError("'latest' alias name (case insensitive) is reserved.", field="alias")
    if _VERSION.fullmatch(request.alias):
        raise InvalidInputError(f"Version alias name '{request.alias}' is reserved.", field="alias")
    await call.write(_set, call.services.registry, request)


async def get_by_alias(call: Call, request: NamedAlias) -> VersionAnswer:
    """The version that an alias points at."""
    _check_alias(request.alias)
    return await call.read(_get, call.services.registry, request)


async def delete_alias(call: Call, request: NamedAlias) -> None:
    """Forget an alias; one that is not there is no error."""
    _check_alias(request.alias)
    registry, alias = call.services.registry, request.alias
    await call.write(lambda tx: registry.remove_alias.join(tx, find_exactly(tx, registry, request.name).name, alias))


async def transition_stage(call: Call, request: Transition) -> VersionAnswer:
    """Put a version in a stage."""
    return await call.write(_transition, call.services.registry, request)


def _set(tx: Transaction, registry: RegistryService, request: SetAlias) -> None:
    target = find_version(tx, registry, request.name, request.version)
    registry.move_alias.join(tx, target.model, request.alias, target.version)


def _get(tx: Transaction, registry: RegistryService, request: NamedAlias) -> VersionAnswer:
    model = find_exactly(tx, registry, request.name)
    if request.alias.lower() == LATEST:
        newest = registry.list_versions.join(tx, model.name, 1)
        if not newest:
            raise NotFoundError(f"Latest version not found for model {model.name}.")
        return answer_version(tx, registry, newest[0])
    held = registry.find_alias.join(tx, model.name, request.alias)
    if held is None:  # another name than that of a missing model: clients tell the two apart
        raise InvalidInputError(f"Registered model alias {request.alias} not found.", field="alias")
    return answer_version(tx, registry, registry.get_version.join(tx, model.name, held.version))


def _transition(tx: Transaction, registry: RegistryService, request: Transition) -> VersionAnswer:
    target = find_version(tx, registry, request.name, request.version)
    stage = read_stage(request.stage)
    moved = registry.set_stage.join(tx, target.model, target.version, stage, request.archive_existing_versions)
    return answer_version(tx, registry, moved)


def _check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias):
        raise InvalidInputError(
            f"Invalid alias name: '{alias[:100]}'. Names may only contain alphanumerics, underscores (_), and "
            "dashes (-).",
            field="alias",
        )
    if len(alias) > ALIAS_LIMIT:
        raise InvalidInputError(
            f"'Registered model alias name' exceeds the maximum length of {ALIAS_LIMIT} characters", field="alias"
        )


ENDPOINTS = [
    Endpoint("POST", "registered-models/alias", set_alias, Role.MAINTAINER, SetAlias),
    Endpoint("GET", "registered-models/alias", get_by_alias, Role.READER, NamedAlias),
    Endpoint("DELETE", "registered-models/alias", delete_alias, Role.MAINTAINER, NamedAlias),
    Endpoint("POST", "model-versions/transition-stage", transition_stage, Role.MAINTAINER, Transition),
]

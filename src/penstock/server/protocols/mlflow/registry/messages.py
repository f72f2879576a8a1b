"""Models and versions in the protocol's words."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.registry.names import check_model_name
from penstock.registry.service import RegistryService
from penstock.registry.types import Model, ModelOverview, ModelVersion, Stage
from penstock.server.protocols.mlflow.errors import missing
from penstock.server.protocols.mlflow.names import check_name
from penstock.storage.columns import to_microseconds
from penstock.storage.transaction import Transaction

_STAGES = {stage.lower(): stage for stage in Stage}


class Tag(Struct):
    """A tag of a model or version."""

    key: str
    value: str = ""


class AliasMessage(Struct):
    """An alias and the version it points at."""

    alias: str
    version: str


class VersionMessage(Struct, omit_defaults=True):
    """A version as clients read it."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    description: str
    source: str
    run_id: str
    status: str
    run_link: str
    user_id: str = ""
    tags: list[Tag] = []
    aliases: list[str] = []


class ModelMessage(Struct, omit_defaults=True):
    """A model as clients read it."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    latest_versions: list[VersionMessage] = []
    tags: list[Tag] = []
    aliases: list[AliasMessage] = []


class VersionAnswer(Struct):
    """One version."""

    model_version: VersionMessage


class VersionsAnswer(Struct, omit_defaults=True):
    """Several versions."""

    model_versions: list[VersionMessage] = []
    next_page_token: str = ""


class ModelAnswer(Struct):
    """One model."""

    registered_model: ModelMessage


class ModelsAnswer(Struct, omit_defaults=True):
    """Several models."""

    registered_models: list[ModelMessage] = []
    next_page_token: str = ""


def answer_model(tx: Transaction, registry: RegistryService, model: Model) -> ModelAnswer:
    """A model with its newest versions."""
    (overview,) = registry.overview(tx, [model])
    return ModelAnswer(_to_model_message(overview))


def answer_models(tx: Transaction, registry: RegistryService, models: Sequence[Model], token: str) -> ModelsAnswer:
    """Models with their newest versions."""
    return ModelsAnswer([_to_model_message(overview) for overview in registry.overview(tx, models)], token)


def answer_version(tx: Transaction, registry: RegistryService, version: ModelVersion) -> VersionAnswer:
    """A version with its aliases."""
    return VersionAnswer(answer_versions(tx, registry, [version]).model_versions[0])


def answer_versions(
    tx: Transaction, registry: RegistryService, versions: Sequence[ModelVersion], token: str = ""
) -> VersionsAnswer:
    """Versions with their aliases."""
    aliases = registry.aliases_of(tx, versions)
    messages = [_to_version_message(version, aliases.get((version.key, version.version), ())) for version in versions]
    return VersionsAnswer(messages, token)


def find_exactly(tx: Transaction, registry: RegistryService, name: str) -> Model:
    """The model that has this name now; clients count on a name that was given up not leading anywhere."""
    check_new_name(name)
    try:
        found = registry.get_model.join(tx, name)
    except NotFoundError:
        found = None
    if found is None or found.name != name:
        raise NotFoundError(f"Registered Model with name={name} not found")
    return found


def find_version(tx: Transaction, registry: RegistryService, name: str, version: str) -> ModelVersion:
    """A version of the model that has this name now."""
    number = read_number(version)
    check_new_name(name)
    try:
        return registry.get_version.join(tx, find_exactly(tx, registry, name).name, number)
    except NotFoundError as error:
        raise NotFoundError(f"Model Version (name={name}, version={version}) not found") from error


def check_new_name(name: str, parameter: str = "name") -> str:
    """The name itself, when a model may have it."""
    if not name.strip():
        raise missing(parameter)
    return check_model_name(name)


def read_number(text: str) -> int:
    """The number of a version, which is a text in this protocol."""
    if not (text.isascii() and text.removeprefix("-").isdecimal()):
        raise InvalidInputError(f"Parameter 'version' must be an integer, got '{text[:100]}'.", field="version")
    return int(text[:18])


def read_stage(text: str) -> Stage:
    """A stage, with capitals or without."""
    stage = _STAGES.get(text.lower())
    if stage is None:
        known = ", ".join(Stage)
        raise InvalidInputError(f"Invalid Model Version stage: {text[:100]}. Value must be one of {known}.")
    return stage


def to_dict(tags: Iterable[Tag]) -> dict[str, str]:
    """The values by key; of a key that comes twice, the last one counts."""
    return {check_name(tag.key, "key"): tag.value for tag in tags}


def _to_model_message(overview: ModelOverview) -> ModelMessage:
    model = overview.model
    held: dict[int, list[str]] = {}
    for alias in overview.aliases:
        held.setdefault(alias.version, []).append(alias.alias)
    return ModelMessage(
        name=model.name,
        creation_timestamp=_to_milliseconds(model.created_at),
        last_updated_timestamp=_to_milliseconds(model.updated_at),
        description=model.description,
        latest_versions=[_to_version_message(version, held.get(version.version, ())) for version in overview.latest],
        tags=_to_tags(model.tags),
        aliases=[AliasMessage(alias.alias, str(alias.version)) for alias in overview.aliases],
    )


def _to_version_message(version: ModelVersion, aliases: Sequence[str]) -> VersionMessage:
    return VersionMessage(
        name=version.model,
        version=str(version.version),
        creation_timestamp=_to_milliseconds(version.created_at),
        last_updated_timestamp=_to_milliseconds(version.updated_at),
        current_stage=version.stage,
        description=version.description,
        source=version.source,
        run_id=version.run_id or "",
        status="READY",
        run_link=version.run_link,
        tags=_to_tags(version.tags),
        aliases=list(aliases),
    )


def _to_tags(tags: dict[str, str]) -> list[Tag]:
    return [Tag(key, value) for key, value in tags.items()]


def _to_milliseconds(moment: datetime) -> int:
    return to_microseconds(moment) // 1000

"""The operations on experiments."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from msgspec import Meta, Struct

from penstock.core.errors import NotFoundError
from penstock.core.identity import Role
from penstock.core.ids import ExperimentId
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.entities import (
    KeyValue,
    WireExperiment,
    from_pairs,
    parse_experiment_id,
    to_experiment,
)
from penstock.server.protocols.mlflow.errors import invalid
from penstock.server.protocols.mlflow.names import check_name

LOCATION_LIMIT = 2_000  # characters
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:|[/\\]")  # a URI, or a path from a root
Text = Annotated[str, Meta(min_length=1)]


class Create(Struct):
    """A new experiment."""

    name: Text
    artifact_location: str = ""
    tags: list[KeyValue] = []


class ById(Struct):
    """Names an experiment by its id."""

    experiment_id: Text


class ByName(Struct):
    """Names an experiment by its name."""

    experiment_name: Text


class Rename(Struct):
    """Another name for an experiment."""

    experiment_id: Text
    new_name: Text


class SetTag(Struct):
    """A tag for an experiment."""

    experiment_id: Text
    key: Text
    value: str = ""


class DeleteTag(Struct):
    """The key of a tag of an experiment."""

    experiment_id: Text
    key: Text


class Id(Struct):
    """The id of an experiment that was made."""

    experiment_id: str


class Answer(Struct):
    """One experiment."""

    experiment: WireExperiment


async def create(call: Call, request: Create) -> Id:
    """Make an experiment."""
    location = to_absolute(check_location(request.artifact_location))
    tags = from_pairs(request.tags, "tags")
    made = await call.write(call.services.experiments.create_experiment.join, request.name, location, tags)
    return Id(str(made.id))


async def get(call: Call, request: ById) -> Answer:
    """An experiment by its id."""
    return Answer(to_experiment(await call.read(call.services.experiments.get_experiment_by_id.join, to_id(request))))


async def get_by_name(call: Call, request: ByName) -> Answer:
    """An experiment by its name."""
    try:
        found = await call.read(call.services.experiments.get_experiment.join, request.experiment_name)
    except NotFoundError as error:
        told = f"Could not find experiment with name '{request.experiment_name}'"
        raise NotFoundError(told) from error
    return Answer(to_experiment(found))


async def rename(call: Call, request: Rename) -> None:
    """Give an experiment another name."""
    await call.write(call.services.experiments.rename_experiment.join, to_id(request), request.new_name)


async def delete(call: Call, request: ById) -> None:
    """Delete an experiment with its runs."""
    await call.write(call.services.experiments.delete_experiment.join, to_id(request))


async def restore(call: Call, request: ById) -> None:
    """Bring a deleted experiment back."""
    await call.write(call.services.experiments.restore_experiment.join, to_id(request))


async def set_tag(call: Call, request: SetTag) -> None:
    """Set a tag of an experiment."""
    check_name(request.key, "key")
    tags = {request.key: request.value}
    await call.write(call.services.experiments.set_experiment_tags.join, to_id(request), tags)


async def delete_tag(call: Call, request: DeleteTag) -> None:
    """Forget a tag of an experiment."""
    await call.write(call.services.experiments.remove_experiment_tag.join, to_id(request), request.key)


def check_location(location: str) -> str:
    """The place itself, when the artifacts of an experiment may go there.

    Raises:
        InvalidInputError: it could lead elsewhere than it says.
    """
    if "#" in location or "?" in location or ".." in unquote(unquote(location)).replace("\\", "/").split("/"):
        raise invalid("artifact_location", location, "a place has no '..', no query and no fragment")
    if len(location) > LOCATION_LIMIT or not location.isprintable():
        raise invalid("artifact_location", location, f"use up to {LOCATION_LIMIT} printable characters")
    return location


def to_absolute(location: str) -> str:
    """The same place for every client: a relative path begins where the server was started, as clients know it."""
    is_relative = location and not _ABSOLUTE.match(location)
    return str(Path(location).absolute()) if is_relative else location


def to_id(request: ById | Rename | SetTag | DeleteTag) -> ExperimentId:
    """The number of the experiment that a request names."""
    return ExperimentId(parse_experiment_id(request.experiment_id))


ENDPOINTS = [
    Endpoint("POST", "experiments/create", create, Role.CONTRIBUTOR, Create),
    Endpoint("GET", "experiments/get", get, Role.READER, ById),
    Endpoint("GET", "experiments/get-by-name", get_by_name, Role.READER, ByName),
    Endpoint("POST", "experiments/update", rename, Role.CONTRIBUTOR, Rename),
    Endpoint("POST", "experiments/delete", delete, Role.CONTRIBUTOR, ById),
    Endpoint("POST", "experiments/restore", restore, Role.CONTRIBUTOR, ById),
    Endpoint("POST", "experiments/set-experiment-tag", set_tag, Role.CONTRIBUTOR, SetTag),
    Endpoint("POST", "experiments/delete-experiment-tag", delete_tag, Role.CONTRIBUTOR, DeleteTag),
]

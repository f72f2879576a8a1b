"""The operations on runs: begin, change, end, delete, restore, and their tags."""

from typing import Annotated

from msgspec import Meta, Struct, structs

from penstock.core.errors import InvalidInputError
from penstock.core.identity import Role
from penstock.core.ids import ExperimentId, RunId
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.entities import (
    PARENT,
    RUN_NAME,
    USER,
    KeyValue,
    WireRun,
    WireRunInfo,
    from_ms,
    parse_experiment_id,
    parse_status,
    to_run,
    to_run_info,
)
from penstock.server.protocols.mlflow.errors import missing
from penstock.server.protocols.mlflow.inputs import Inputs, Outputs, to_runs
from penstock.server.protocols.mlflow.names import check_name
from penstock.storage.transaction import Transaction
from penstock.tracking.facts import Facts
from penstock.tracking.names import check_key, check_value
from penstock.tracking.new_runs import NewRun

Text = Annotated[str, Meta(min_length=1)]


class Create(Struct):
    """A new run."""

    experiment_id: str = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: int | None = None
    tags: list[KeyValue] = []


class ById(Struct):
    """Names a run; older clients say `run_uuid`."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def run(self) -> RunId:
        """The id itself.

        Raises:
            InvalidInputError: none was given.
        """
        if not (self.run_id or self.run_uuid):
            raise missing("run_id")
        return RunId(self.run_id or self.run_uuid)


class Update(ById):
    """What changes in a run."""

    status: str = ""
    end_time: int | None = None
    run_name: str = ""


class SetTag(ById, kw_only=True):
    """A tag for a run."""

    key: Text
    value: str = ""


class DeleteTag(ById, kw_only=True):
    """The key of a tag of a run."""

    key: Text


class Answer(Struct):
    """One run."""

    run: WireRun


class InfoAnswer(Struct):
    """One run without what was logged to it."""

    run_info: WireRunInfo


async def create(call: Call, request: Create) -> Answer:
    """Begin a run."""
    tags = {tag.key: tag.value for tag in request.tags}
    name = tags.pop(RUN_NAME, "")
    if name and request.run_name and name != request.run_name:
        raise InvalidInputError(
            f"Both 'run_name' argument and '{RUN_NAME}' tag are specified, but with different values "
            f"(run_name='{request.run_name}', {RUN_NAME}='{name}').",
            field="run_name",
        )
    new = NewRun(
        experiment_id=ExperimentId(parse_experiment_id(request.experiment_id)),
        name=request.run_name or name,
        tags=tags,
        parent=RunId(tags[PARENT]) if tags.get(PARENT) else None,
        created_by=request.user_id or tags.get(USER, ""),
        started_at=None if request.start_time is None else from_ms(request.start_time, "start_time"),
    )
    begun = to_run(await call.add(call.services.tracking.new_runs, new))
    return Answer(structs.replace(begun, inputs=Inputs(), outputs=Outputs()))


async def get(call: Call, request: ById) -> Answer:
    """A run with all that was logged to it."""
    return Answer(await call.read(_get, call, request.run))


def _get(tx: Transaction, call: Call, run_id: RunId) -> WireRun:
    return to_runs(tx, call.services.inputs, [call.services.tracking.get_run.join(tx, run_id)])[0]


async def update(call: Call, request: Update) -> InfoAnswer:
    """Change the status, the end or the name of a run."""
    status = parse_status(request.status, "status") if request.status else None
    ended_at = None if request.end_time is None else from_ms(request.end_time, "end_time")
    name = request.run_name or None
    run = await call.write(call.services.tracking.change_run.join, request.run, status, ended_at, name)
    return InfoAnswer(to_run_info(run))


async def delete(call: Call, request: ById) -> None:
    """Delete a run."""
    await call.write(call.services.tracking.delete_run.join, request.run)


async def restore(call: Call, request: ById) -> None:
    """Bring a deleted run back."""
    await call.write(call.services.tracking.restore_run.join, request.run)


async def set_tag(call: Call, request: SetTag) -> None:
    """Set a tag of a run."""
    check_name(request.key, "key")
    await call.add(call.services.tracking.facts, tag_facts(request.run, {request.key: request.value}))


async def delete_tag(call: Call, request: DeleteTag) -> None:
    """Forget a tag of a run."""
    await call.write(call.services.tracking.remove_tag.join, request.run, request.key)


def tag_facts(run_id: RunId, tags: dict[str, str]) -> Facts:
    """Tags as facts of a run; the one that is its name renames it."""
    for key, value in tags.items():
        check_value(value, check_name(key, "key"))
    name = tags.pop(RUN_NAME, None)
    if name is not None:
        check_key(name, f"tags[{RUN_NAME!r}]")
    return Facts(run_id, tags=tags, name=name, may_be_late=True)


ENDPOINTS = [
    Endpoint("POST", "runs/create", create, Role.CONTRIBUTOR, Create),
    Endpoint("GET", "runs/get", get, Role.READER, ById),
    Endpoint("POST", "runs/update", update, Role.CONTRIBUTOR, Update),
    Endpoint("POST", "runs/delete", delete, Role.CONTRIBUTOR, ById),
    Endpoint("POST", "runs/restore", restore, Role.CONTRIBUTOR, ById),
    Endpoint("POST", "runs/set-tag", set_tag, Role.CONTRIBUTOR, SetTag),
    Endpoint("POST", "runs/delete-tag", delete_tag, Role.CONTRIBUTOR, DeleteTag),
]

"""The searches for runs and for experiments."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct, field

from penstock.core.errors import InvalidInputError
from penstock.core.identity import Role
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.entities import (
    RUN_NAME,
    KeyValue,
    WireExperiment,
    WireRunInfo,
    parse_experiment_id,
    parse_view,
    to_experiment,
)
from penstock.server.protocols.mlflow.inputs import Inputs, Outputs, to_inputs, to_outputs
from penstock.storage.transaction import Transaction
from penstock.tracking.search.parts import FoundRun, LatestMetric
from penstock.tracking.search.runs import RESULTS_LIMIT
from penstock.tracking.store import to_wire
from penstock.tracking.types import NonFinite, View

_NOTHING = Raw(b"[]")


class SearchRuns(Struct):
    """What runs to find."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str = "ACTIVE_ONLY"
    max_results: int = 1000
    order_by: list[str] = []
    page_token: str = ""


class SearchExperiments(Struct):
    """What experiments to find."""

    max_results: int = 1000
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = []
    view_type: str = "ACTIVE_ONLY"


class WireLatest(Struct):
    """The latest point of a metric."""

    key: str
    value: float | NonFinite
    timestamp: int
    step: int


class WireFoundData(Struct, omit_defaults=True):
    """What was logged to a run, as the database wrote it."""

    metrics: list[WireLatest] = []
    params: Raw = _NOTHING
    tags: Raw = _NOTHING


class WireFoundRun(Struct):
    """A run that was found."""

    info: WireRunInfo
    data: WireFoundData
    inputs: Inputs = field(default_factory=Inputs)
    outputs: Outputs = field(default_factory=Outputs)


class Runs(Struct, omit_defaults=True):
    """A page of runs."""

    runs: list[WireFoundRun] = []
    next_page_token: str = ""


class Experiments(Struct, omit_defaults=True):
    """A page of experiments."""

    experiments: list[WireExperiment] = []
    next_page_token: str = ""


async def search_runs(call: Call, request: SearchRuns) -> Runs:
    """A page of runs."""
    _check_size(request.max_results)
    ids = [number for number in map(parse_experiment_id, request.experiment_ids) if number >= 0]
    view = parse_view(request.run_view_type, "run_view_type")
    return await call.read(_search_runs, call, request, ids, view)


def _search_runs(tx: Transaction, call: Call, request: SearchRuns, ids: Sequence[int], view: View) -> Runs:
    search = call.services.tracking.search
    found = search.find(tx, ids, request.filter, request.order_by, view, request.max_results, request.page_token)
    service = call.services.inputs
    some = service.runs_with_any(tx, [run.number for run in found.runs])
    named = [run.id for run in found.runs if run.number in some]
    inputs, outputs = (service.inputs_of(tx, named), service.outputs_of(tx, named)) if named else ({}, {})
    runs = [to_found_run(run) for run in found.runs]
    for wire in (runs[place] for place, run in enumerate(found.runs) if run.number in some):
        wire.inputs, wire.outputs = to_inputs(inputs[wire.info.run_id]), to_outputs(outputs[wire.info.run_id])
    return Runs(runs, found.next)


async def search_experiments(call: Call, request: SearchExperiments) -> Experiments:
    """A page of experiments."""
    _check_size(request.max_results)
    view: View = parse_view(request.view_type, "view_type")
    page = await call.read(
        call.services.experiments.search_experiments.join,
        request.filter,
        request.order_by,
        view,
        request.max_results,
        request.page_token,
    )
    return Experiments([to_experiment(each) for each in page.experiments], page.next)


def to_found_run(run: FoundRun) -> WireFoundRun:
    """A run in the protocol's form; its name stands among the tags as well."""
    info = WireRunInfo(
        run_uuid=run.id,
        run_id=run.id,
        experiment_id=str(run.experiment_id),
        run_name=run.name,
        user_id=run.created_by,
        status=run.status.upper(),
        start_time=run.started_at // 1000,
        end_time=None if run.ended_at is None else run.ended_at // 1000,
        artifact_uri=run.artifact_uri,
        lifecycle_stage="active" if run.deleted_at is None else "deleted",
    )
    params = _NOTHING if bytes(run.params) == bytes(_NOTHING) else run.params  # a default is known by its identity
    return WireFoundRun(info, WireFoundData(_to_metrics(run.metrics), params, _with_name(run.tags, run.name)))


def _to_metrics(held: Sequence[LatestMetric]) -> list[WireLatest]:
    return [
        WireLatest(key, value if value - value == 0 else to_wire(value), at // 1000, step)  # inf - inf is NaN
        for key, value, step, at in held
    ]


def _with_name(tags: Raw, name: str) -> Raw:
    """A JSON list of tags with one more."""
    pair = msgspec.json.encode(KeyValue(RUN_NAME, name))
    rest = bytes(tags)[1:]
    return Raw(b"[" + pair + (b"," if rest != b"]" else b"") + rest)


def _check_size(max_results: int) -> None:
    """Refuse a page that is too small or too large, in the words that clients know."""
    if not 1 <= max_results <= RESULTS_LIMIT:
        raise InvalidInputError(
            f"Invalid value {max_results} for parameter 'max_results' supplied: use 1 to {RESULTS_LIMIT}",
            field="max_results",
        )


ENDPOINTS = [
    Endpoint("POST", "runs/search", search_runs, Role.READER, SearchRuns),
    Endpoint("POST", "experiments/search", search_experiments, Role.READER, SearchExperiments),
    Endpoint("GET", "experiments/search", search_experiments, Role.READER, SearchExperiments),
]

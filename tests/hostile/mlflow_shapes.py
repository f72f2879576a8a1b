"""Well-formed requests for every operation of MLflow's protocol, made from the table of endpoints."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct, inspect, structs

from hostile.attacks import Attacker
from hostile.shapes import example
from hostile.wire import Reply
from hostile.world import World
from penstock.server.protocols.mlflow import logging
from penstock.server.protocols.mlflow.app import full_paths
from penstock.server.protocols.mlflow.endpoint import Endpoint
from penstock.server.protocols.mlflow.table import ENDPOINTS

# Operations that read their body themselves, for speed.
READ_APART: dict[str, type[Struct]] = {
    "runs/log-metric": logging.LogMetric,
    "runs/log-parameter": logging.LogParam,
    "runs/log-batch": logging.LogBatch,
}
MILLISECONDS = 1_714_564_800_000
_NUMBERS = {"timestamp": MILLISECONDS, "start_time": MILLISECONDS, "end_time": MILLISECONDS, "max_results": 10}
PARTS = (
    "filter",
    "filter_string",
    "order_by",
    "page_token",
    "max_results",
)  # of searches; they have tests of their own


def record_of(endpoint: Endpoint) -> type[Struct] | None:
    """What the operation reads; None for one that streams."""
    return endpoint.request or READ_APART.get(endpoint.path)


READING = [endpoint for endpoint in ENDPOINTS if record_of(endpoint) is not None]
POSTED = [endpoint for endpoint in READING if endpoint.method != "GET"]
ASKED = [endpoint for endpoint in READING if endpoint.method == "GET"]
IN_PATHS = [endpoint for endpoint in ENDPOINTS if "{" in endpoint.path]


def name_of(endpoint: Endpoint) -> str:
    """What a test calls an operation."""
    return f"{endpoint.method} {endpoint.path}"


def names_of(world: World) -> World:
    """The world with MLflow's names for what it holds."""
    run_id = world.names["run_id"]
    names = {
        "run_uuid": run_id,
        "experiment_id": "0",
        "name": "churn",
        "new_name": "churned",
        "view_type": "ALL",
        "run_view_type": "ALL",
        "filter": "",
        "filter_string": "",
        "page_token": "",
        "order_by": "",
        "stage": "None",
        "source": f"runs:/{run_id}/model",
        "artifact_path": "notes/idea.txt",
    }
    return replace(world, names=world.names | names)


def body_of(endpoint: Endpoint, world: World) -> dict[str, Any]:
    """A body, or the parameters of a query, that fit the types; with things that are there where names say so."""
    kind = record_of(endpoint)
    if kind is None:
        return {}
    known = names_of(world)
    in_path = path_names(endpoint)
    fields = {f.encode_name: f.type for f in structs.fields(kind) if f.encode_name not in in_path}
    made = {name: example(inspect.type_info(kind), name, known, 0) for name, kind in fields.items()}
    return _with_numbers({name: value for name, value in made.items() if value not in ("", [""])})


def path_names(endpoint: Endpoint) -> list[str]:
    """The parameters in the path."""
    return [piece.split("}")[0].removesuffix(":path") for piece in endpoint.path.split("{")[1:]]


def path_of(endpoint: Endpoint, world: World, **given: str) -> str:
    """A path that the operation answers under, with these texts in it as they stand."""
    path = full_paths(endpoint)[0]
    names = names_of(world).names
    for name in path_names(endpoint):
        text = given.get(name) or quote(names.get(name, "something"))
        path = path.replace(f"{{{name}}}", text).replace(f"{{{name}:path}}", text)
    return path


def query_of(body: dict[str, Any]) -> str:
    """The same as a query; lists are repeated."""
    return urlencode(
        {name: str(value) if isinstance(value, bool) else value for name, value in body.items()},
        doseq=True,
        errors="surrogatepass",
    )


def send(attacker: Attacker, endpoint: Endpoint, world: World, body: Any, **how: Any) -> Reply | None:
    """The request with this body; a GET carries it as its query."""
    path = path_of(endpoint, world)
    if endpoint.method == "GET":
        text = query_of(body) if isinstance(body, dict) else ""
        return attacker.attack("GET", f"{path}?{text}" if text else path, **how)
    return attacker.attack(endpoint.method, path, body, **how)


def fields_named(endpoint: Endpoint, names: tuple[str, ...]) -> list[str]:
    """Which of these fields the operation has."""
    kind = record_of(endpoint)
    return [] if kind is None else [f.encode_name for f in structs.fields(kind) if f.encode_name in names]


def _with_numbers(value: Any, name: str = "") -> Any:
    """Moments where a number names one."""
    if isinstance(value, dict):
        return {key: _with_numbers(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_numbers(part, name) for part in value]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return _NUMBERS.get(name, value) if is_number else value


def encode(body: Any) -> bytes:
    """JSON as a client writes it; half a surrogate pair is escaped, as it has no other form."""
    return json.dumps(body).encode()

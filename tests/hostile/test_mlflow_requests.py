"""Whole requests to MLflow's operations that are none: bodies, paths, methods, headers, other people's pages."""

import json
import random

import pytest

from hostile.attacks import Attacker
from hostile.mlflow_shapes import IN_PATHS, POSTED, body_of, name_of, path_names, path_of, send
from hostile.test_api_requests import BODIES, FORMS, HEADERS
from hostile.values import PATHS
from hostile.world import World
from penstock.server.protocols.mlflow.app import full_paths
from penstock.server.protocols.mlflow.endpoint import Endpoint
from penstock.server.protocols.mlflow.table import ENDPOINTS

TRAVERSALS = [
    "../secret",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "a/../../../../etc/passwd",
    "a/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
    "%252e%252e%252fetc%252fpasswd",
    "..;/..;/etc/passwd",
    "....//....//etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "file:///etc/passwd",
    "%5c%5cserver%5cshare",
    "C:%5cwindows%5cwin.ini",
    "a%00.png",
    "%c0%ae%c0%ae/etc/passwd",
    "~root/.ssh/id_rsa",
    "$HOME",
    "a/" * 500 + "b",
    "x" * 5_000,
    ".",
    "./.",
    "a/./b",
    "a//b",
    "a%0d%0aset-cookie:b=c",
]


@pytest.mark.parametrize("endpoint", POSTED, ids=name_of)
def test_no_body_breaks_the_server(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    for case, body in BODIES.items():
        send(attacker, endpoint, world, body, case=case, refused=case not in ("empty", "a byte order mark"))


@pytest.mark.parametrize("endpoint", POSTED, ids=name_of)
def test_half_a_body_is_no_body(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    whole = json.dumps(body_of(endpoint, world)).encode()
    for end in random.Random(0).sample(range(1, len(whole)), min(6, len(whole) - 1)):
        send(attacker, endpoint, world, whole[:end], refused=True)


@pytest.mark.parametrize("endpoint", POSTED, ids=name_of)
def test_a_form_of_another_page_is_no_request(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    body = body_of(endpoint, world) or {"a": 1}
    for kind in [*FORMS, "", "application/jsonp", "application/json-patch+json", "*/*", "json", "text/json"]:
        send(attacker, endpoint, world, body, headers={"content-type": kind}, refused=True, case=kind)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_no_header_breaks_the_server(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    body = body_of(endpoint, world)
    odd = {
        "ranges": {"range": "bytes=" + ",".join(f"{n}-{n}" for n in range(1000))},
        "a range without end": {"range": "bytes=99999999999999999999-"},
        "a range that is none": {"range": "lines=1-2"},
        "a workspace": {"x-mlflow-workspace": "../../etc"},
        "bombs": {f"x-{number}": "a" for number in range(150)},
        "a long header": {"x-long": "a" * 30_000},
    }
    for case, headers in (HEADERS | odd).items():
        send(attacker, endpoint, world, body, headers=headers, case=case)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_another_page_cannot_use_an_operation(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    own, body = attacker.url.partition("//")[2], body_of(endpoint, world)
    for headers in (
        {"host": "evil.example"},
        {"host": f"{own}.evil.example"},
        {"host": own, "origin": "http://evil.example"},
        {"host": own, "origin": "null"},
        {"host": own, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
    ):
        reply = send(attacker, endpoint, world, body, headers=headers, refused=True, case=str(headers))
        assert reply is not None and reply.status == 403
        assert not any(name.startswith("access-control-") for name in reply.headers)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_another_method_is_no_operation(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    path = path_of(endpoint, world)
    taken = {other.method for other in ENDPOINTS if other.path == endpoint.path} | {"HEAD"}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - taken:
        attacker.attack(method, path, refused=True)


@pytest.mark.parametrize("endpoint", IN_PATHS, ids=name_of)
def test_no_path_leads_astray(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    body = body_of(endpoint, world)
    for name in path_names(endpoint):
        for value in PATHS + TRAVERSALS:
            path = path_of(endpoint, world, **{name: value})
            content = json.dumps(body).encode() if endpoint.method in ("POST", "PATCH") else b"bytes"
            content = b"" if endpoint.method in ("GET", "DELETE") else content
            reply = attacker.attack(endpoint.method, path, content, case=name)
            assert reply is None or b"root:x:0" not in reply.body


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_a_path_is_only_itself(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    """Neither another spelling nor another version of a path is an operation."""
    path = path_of(endpoint, world)
    if path_names(endpoint) or not path.startswith("/api/"):
        return
    odd = [path + "/", path + "//", path + "%00", path + "%0a", path + ";a=b", path.upper(), path.replace("/", "//")]
    odd += [
        path.replace("/2.0/", "/9.0/").replace("/3.0/", "/9.0/"),
        path.replace("/api/", "/api/preview/"),
        f"/a/..{path}",
    ]
    odd += [path.replace("mlflow/", "mlflow/../mlflow/"), path.replace("mlflow", "%6dlflow") + "x"]
    for other in set(odd) - {path}:
        attacker.attack(endpoint.method, other, body_of(endpoint, world), refused=True)


UNKNOWN = ["/api/2.0/mlflow/", "/api/2.0/mlflow", "/api/2.0/", "/api/2.0", "/api/3.0/mlflow/nothing", "/ajax-api/2.0/x"]
UNKNOWN += ["/api/2.0/preview/mlflow/runs/search", "/api/2.0/mlflow/runs", "/api/2.0/mlflow/%2e%2e/%2e%2e/etc/passwd"]
UNKNOWN += ["/api/2.0/mlflow/" + "a/" * 1000, "/api/2.0/mlflow/%ff", "/graphql", "/get-artifact?path=../../etc/passwd"]
UNKNOWN += ["/model-versions/get-artifact?name=x&version=1&path=/etc/passwd", "/api/2.0/mlflow-artifacts/", "/signup"]


@pytest.mark.parametrize("path", UNKNOWN, ids=lambda path: path[:50])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_what_is_no_operation_is_said_to_be_none(method: str, path: str, attacker: Attacker) -> None:
    reply = attacker.attack(method, path, {"a": 1}, refused=True)
    assert reply is not None and reply.status in (400, 403, 404, 405)


def test_there_are_hundreds_of_cases() -> None:
    assert len(ENDPOINTS) * len(BODIES) + len(UNKNOWN) * 5 >= 300
    assert len({path for endpoint in ENDPOINTS for path in full_paths(endpoint)}) >= len(ENDPOINTS)

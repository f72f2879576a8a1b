"""Every protocol of the gateway gets what no model foresees; a ranking and a scikit-learn model stay well."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hostile.attacks import Attacker
from hostile.test_raw_http import CONFLICTS, converse
from hostile.values import LITERALS, NESTED, NUMBERS, TEXTS, TIMES, WRONG
from serving.gateways import GatewayUnderTest
from serving.models import Backend, make_logistic, make_ranking

ROW = {"age": 41.0, "visits": 2}
SHOP = {"user": "u1", "recent": "item3"}
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
NESTS = [b"[" * 100_000, b"[" * 500 + b"]" * 500, b'{"a":' * 100_000, b'[{"a":' * 500 + b"1" + b"}]" * 500]
BROKEN = [
    b"",
    b"null",
    b"{",
    b"[",
    b'"x"',
    b"7",
    b"[]",
    b"{}",
    b"[[]]",
    b"[{}]",
    b"[null]",
    b"[1,2]",
    b"\xff\xfe",
    *NESTS,
]
BROKEN += [b"\0" * 50, b"[{}]" * 2, "[{}]".encode("utf-16"), b"\xef\xbb\xbf[{}]", b"[{'age': 1}]"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayUnderTest]:
    """A gateway with both models."""
    folder = tmp_path_factory.mktemp("gateway")
    backend = Backend(folder)
    backend.register(make_ranking(knows_items=True), "shop", "ranking")
    backend.register(make_logistic(), "churn", "binary")
    backend.serving.deploy("shop", "shop", 1, key="user")
    backend.serving.deploy("churn", "churn", 1)
    held = GatewayUnderTest(backend, folder / "gateway")
    held.loop.step()
    yield held
    held.stop()
    backend.close()


@pytest.fixture
def gateway(served: GatewayUnderTest) -> Iterator[Attacker]:
    """A client; at the end both models have to answer as before."""
    held = Attacker(served.http.url, None, (str(served.backend.folder),))
    yield held
    assert held.send("POST", "/predict/churn", json.dumps([ROW]).encode()).status == 200
    assert held.send("POST", "/predict/shop", json.dumps([SHOP]).encode()).status == 200
    try:
        held.finish()
    finally:
        held.close()


def _tensors(row: dict[str, Any]) -> dict[str, Any]:
    kinds = {str: "BYTES", int: "INT64", float: "FP64"}
    tensors = [{"name": n, "shape": [1], "datatype": kinds.get(type(v), "FP64"), "data": [v]} for n, v in row.items()]
    return {"inputs": tensors}


def _ways(deployment: str, row: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, str]]]:
    """The same row in every protocol and form."""
    to = {"x-penstock-deployment": deployment}
    yield f"/predict/{deployment}", [row], {}
    yield f"/predict/{deployment}", {"rows": [row]}, {}
    yield f"/v2/models/{deployment}/infer", _tensors(row), {}
    yield "/invocations", {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}, to
    yield "/invocations", {"dataframe_records": [row]}, to
    yield "/invocations", {"instances": [row]}, to
    yield "/invocations", {"inputs": {name: [value] for name, value in row.items()}}, to


@pytest.mark.parametrize(("deployment", "column"), [("churn", "age"), ("churn", "visits"), ("shop", "recent")])
def test_no_value_in_any_column_breaks_the_gateway(deployment: str, column: str, gateway: Attacker) -> None:
    row = ROW if deployment == "churn" else SHOP
    for value in [*NUMBERS, *WRONG, *TEXTS, *TIMES]:
        for path, body, headers in _ways(deployment, row | {column: value}):
            gateway.attack("POST", path, body, headers, refused=value is True or isinstance(value, dict))


@pytest.mark.parametrize("deployment", ["churn", "shop"])
def test_a_missing_column_is_named_in_every_protocol(deployment: str, gateway: Attacker) -> None:
    row = ROW if deployment == "churn" else SHOP
    for missing in row:
        for path, body, headers in _ways(deployment, {name: row[name] for name in row if name != missing}):
            reply = gateway.attack("POST", path, body, headers, refused=True)
            assert reply is not None and missing in reply.body.decode()


@pytest.mark.parametrize(
    "path", ["/predict/churn", "/predict/shop", "/recommend/shop", "/v2/models/churn/infer", "/invocations"]
)
def test_no_body_breaks_the_gateway(path: str, gateway: Attacker) -> None:
    for body in BROKEN:
        gateway.attack("POST", path, body, {"x-penstock-deployment": "churn"}, refused=True)


@pytest.mark.parametrize("literal", LITERALS)
def test_no_literal_that_json_lacks_is_taken(literal: str, gateway: Attacker) -> None:
    for path, body, headers in _ways("churn", ROW | {"age": "mark"}):
        text = json.dumps(body).replace('"mark"', literal)
        gateway.attack("POST", path, text.encode(), headers, refused=True)


FILTERS: list[Any] = [1, "x", [], {}, {"price": {}}, {"price": [[]]}, {"price": None}, {"item": "item1"}, {"a\0b": 1}]
FILTERS += [{"price": {"at_most": value}} for value in ("x", True, None, [], {}, -1, 1.5)] + [{"price": ["x", 1, True]}]
PARAMETERS: dict[str, list[Any]] = {
    "time": [*TIMES, 10**30, "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "", True, [1]],
    "key": ["x" * 5000, 10**30, -1, 1.5, [], {}, True, "a\0b", "../..", "\u202e"],
    "k": [0, -1, 1001, 10**30, 1.5, "5", True, [], {}],
    "exclude": [1, True, {}, [1], [[]], ["x" * 100_000], "x " * 50_000, ["a\0b"], NESTED],
    "filter": [*FILTERS, {"price": {"at_most": 10**30}}, {"price": 10**30}, {"category": ["x" * 100_000]}, NESTED],
    "entity": [
        1,
        10**30,
        1.5,
        True,
        [],
        {},
        {"user": {}},
        {"user": "u", "recent": 7},
        {"a\0b": 1},
        "x" * 100_000,
        NESTED,
    ],
    "version": [0, -1, 99, 10**30, "1", 1.5, True, []],
    "surprise": [1],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_no_parameter_breaks_the_gateway(name: str, gateway: Attacker) -> None:
    to = {"x-penstock-deployment": "shop"}
    for value in PARAMETERS[name]:
        gateway.attack("POST", "/predict/shop", {"rows": [SHOP], name: value})
        gateway.attack("POST", "/recommend/shop", {"entity": "u", name: value})
        gateway.attack("POST", "/v2/models/shop/infer", _tensors(SHOP) | {"parameters": {name: value}})
        gateway.attack("POST", "/invocations", {"instances": [SHOP], "params": {name: value}}, to)
    for junk in (1, "x", [], [[1]], NESTED, None):
        gateway.attack("POST", "/v2/models/shop/infer", _tensors(SHOP) | {"parameters": junk})
        gateway.attack("POST", "/invocations", {"instances": [SHOP], "params": junk}, to)


TENSORS: list[Any] = [
    {"name": "age", "shape": [2], "datatype": "FP64", "data": [1.0]},
    {"name": "age", "shape": [-1], "datatype": "FP64", "data": [1.0]},
    {"name": "age", "shape": [], "datatype": "FP64", "data": [1.0]},
    {"name": "age", "shape": [0], "datatype": "FP64", "data": []},
    {"name": "age", "shape": [10**18, 10**18], "datatype": "FP64", "data": [1.0]},
    {"name": "age", "shape": [10**30], "datatype": "FP64", "data": [1.0]},
    {"name": "age", "shape": [1, 1, 1], "datatype": "FP64", "data": [[[1.0]]]},
    {"name": "age", "shape": [1], "datatype": "FP65", "data": [1.0]},
    {"name": "age", "shape": [1], "datatype": "BYTES", "data": ["1.0"]},
    {"name": "age", "shape": [1], "datatype": "", "data": [1.0]},
    {"name": "age", "shape": ["1"], "datatype": "FP64", "data": [1.0]},
    {"name": "age", "shape": [1.5], "datatype": "FP64", "data": [1.0]},
    {"name": "age", "shape": [2, 1], "datatype": "FP64", "data": [[1.0], 2.0]},
    {"name": "age", "shape": [2, 2], "datatype": "FP64", "data": [[1.0, 2.0], [3.0]]},
    {"name": "", "shape": [1], "datatype": "FP64", "data": [1.0]},
    {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0]},
    {"name": "x", "shape": [0, 2], "datatype": "FP64", "data": []},
    {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [NESTED, NESTED]},
    {"name": "age", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}},
    {"name": "age", "shape": [1], "datatype": "FP64", "data": {"a": 1}},
    None,
    [],
    "age",
]


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: str(tensor)[:50])
def test_no_tensor_breaks_the_gateway(tensor: Any, gateway: Attacker) -> None:
    second = {"name": "visits", "shape": [1], "datatype": "INT64", "data": [2]}
    path = "/v2/models/churn/infer"
    gateway.attack("POST", path, {"inputs": [tensor, second]}, refused=True)
    gateway.attack("POST", path, {"inputs": [tensor]}, refused=True)
    gateway.attack("POST", path, {"inputs": [tensor, tensor, second]}, refused=True)
    gateway.attack("POST", path, _tensors(ROW) | {"outputs": [tensor]}, refused=True)
    gateway.attack("POST", path, _tensors(ROW) | {"id": tensor})


RAGGED: list[Any] = [
    {"dataframe_split": {"columns": ["age", "visits"], "data": [[1.0, 2], [3.0]]}},
    {"dataframe_split": {"columns": ["age"], "data": [[1.0, 2]]}},
    {"dataframe_split": {"columns": ["age", "age"], "data": [[1.0, 2]]}},
    {"dataframe_split": {"columns": [], "data": []}},
    {"dataframe_split": {"columns": [1, 2], "data": [[1.0, 2]]}},
    {"dataframe_split": {"columns": "age", "data": "x"}},
    {"dataframe_split": {"columns": ["age", "visits"], "data": [{"age": 1}]}},
    {"dataframe_split": {"index": [0], "columns": ["age", "visits"]}},
    {"dataframe_records": {"age": [1.0], "visits": [2]}},
    {"dataframe_records": [ROW, {}]},
    {"dataframe_records": [ROW, []]},
    {"instances": [[1.0, 2], [3.0]]},
    {"instances": [[[1.0, 2]]]},
    {"instances": [ROW, [1.0, 2]]},
    {"instances": "x"},
    {"inputs": {"age": [1.0, 2.0], "visits": [2]}},
    {"inputs": {"age": 1.0, "visits": 2}},
    {"inputs": {}},
    {"inputs": [[[[1]]]]},
    {"inputs": [ROW], "instances": [ROW]},
    {"nothing": 1},
    {"instances": None},
    {"instances": NESTED},
]


@pytest.mark.parametrize("body", RAGGED, ids=lambda body: str(body)[:60])
def test_no_ragged_frame_breaks_the_gateway(body: Any, gateway: Attacker) -> None:
    gateway.attack("POST", "/invocations", body, {"x-penstock-deployment": "churn"}, refused=True)


TABLES = [b"", b"\n", b"age\n1", b"age,visits\n1", b"age,visits\n1,2,3", b"age,visits\nx,2", b"age,visits\n1e400,2"]
TABLES += [b"age,visits\nnan,2\n", b"age,visits\n1,\n", b'age,visits\n"1,2\n', b"age,age\n1,2", b"\xff\xfe", b"\0\0\0"]
TABLES += [
    b"age,visits\n=cmd|' /C calc'!A0,2",
    b"age,visits\r1,2",
    b"age,visits\n1,99999999999999999999",
    b"age,visits",
]
TABLES += [b"age,visits\n" + b"1" * 200_000 + b",2", b"," * 100_000 + b"\n1", b'"' * 100_001, b"age,visits\n1,2.5"]
TABLES += [b"age,visits\n" + b"1,2\n" * 20_000]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: repr(table[:30]))
def test_no_table_breaks_the_gateway(table: bytes, gateway: Attacker) -> None:
    headers = {"content-type": "text/csv", "x-penstock-deployment": "churn"}
    gateway.attack("POST", "/invocations", table, headers)


KINDS = [
    "text/plain",
    "application/x-python-pickle",
    "application/octet-stream",
    "",
    "text/csv; charset=utf-7",
    "a" * 5000,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[:30] or "none")
def test_no_content_type_breaks_the_gateway(kind: str, gateway: Attacker) -> None:
    for path in ("/predict/churn", "/v2/models/churn/infer", "/invocations"):
        gateway.attack("POST", path, b"\x80\x04cos\nsystem\n", {"content-type": kind}, refused=True)


def test_a_giant_batch_is_refused(gateway: Attacker) -> None:
    for path, body, headers in (
        ("/predict/churn", [ROW] * 10_001, {}),
        ("/invocations", {"instances": [[1.0, 2]] * 10_001}, {"x-penstock-deployment": "churn"}),
        (
            "/invocations",
            {"inputs": {"age": [1.0] * 10_001, "visits": [1] * 10_001}},
            {"x-penstock-deployment": "churn"},
        ),
    ):
        gateway.attack("POST", path, body, headers, refused=True)
    reply = gateway.attack("POST", "/predict/churn", b" " * (8 * 1024 * 1024 + 1), refused=True)
    assert reply is not None and reply.status == 413


PATHS = [
    "/predict/",
    "/predict/nothing",
    "/predict/..",
    "/predict/%2e%2e%2f",
    "/predict/%00",
    "/predict/%ff",
    "/predict",
]
PATHS += ["/v2/models/nothing/infer", "/v2/models/churn/versions/99/infer", "/v2/models/churn/versions/x/infer"]
PATHS += ["/v2/models/churn/versions/99999999999999999999/infer", "/v2/models/../../etc/passwd", "/v2/models//infer"]
PATHS += [
    "/v2/models/%E2%80%AE/infer",
    "/nothing",
    "//",
    "/%00",
    "/predict/" + "x" * 5000,
    "/v2/repository/index",
    "/*",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:50])
def test_what_is_not_there_is_said_to_be_not_there(path: str, gateway: Attacker) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        gateway.attack(method, path, [ROW], refused=True)


@pytest.mark.parametrize("name", ["nothing", "", "../..", "\xff\xfe", "a" * 5000, "churn;shop"])
def test_no_deployment_header_breaks_the_gateway(name: str, gateway: Attacker) -> None:
    gateway.attack("POST", "/invocations", {"instances": [ROW]}, {"x-penstock-deployment": name}, refused=True)


@pytest.mark.parametrize("case", [case for case in CONFLICTS if "host" not in case and "URL" not in case])
def test_what_can_be_read_in_two_ways_is_refused(case: str, served: GatewayUnderTest, gateway: Attacker) -> None:
    path = b"/predict/churn"
    answer = converse(served.http.url, CONFLICTS[case].replace(b"/api/v1/experiments", path))
    statuses = [int(part.split()[0]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert len(statuses) <= 1 and all(400 <= status < 500 for status in statuses), answer

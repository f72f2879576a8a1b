"""What platforms expect of a model server on one port: KServe V1, SageMaker's container, binary tensors."""

import gzip
import json
import struct
import zlib
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from penstock.core.errors import InvalidInputError
from penstock.serving.gateway import Gateway
from penstock.serving.live import RoutingTable
from penstock.serving.protocols.vertex import find_vertex
from serving.gateways import GatewayUnderTest, HttpServer

CHURN = {"x-penstock-deployment": "churn"}
INFER = "/v2/models/churn/infer"
AGES, VISITS = np.array([20.0, 70.0], dtype="<f8"), np.array([1, 2], dtype="<i8")


@pytest.fixture(scope="module")
def gateway(shared_gateway: GatewayUnderTest) -> GatewayUnderTest:
    """None of the tests here changes what is served."""
    return shared_gateway


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [[20, 1], [70, 2]]},
        {"instances": [{"age": 20, "visits": 1}, {"age": 70, "visits": 2}], "parameters": None},
        {"inputs": [[20, 1], [70, 2]]},
        {"inputs": {"age": [20, 70], "visits": [1, 2]}, "parameters": {"key": "somebody"}},
    ],
)
def test_kserve_v1_predicts(gateway: GatewayUnderTest, body: dict[str, Any]) -> None:
    answer = gateway.post("/v1/models/churn:predict", body)
    assert answer.status_code == 200, answer.text
    assert [row["prediction"] for row in answer.json()["predictions"]] == [0, 1]
    assert answer.headers["x-penstock-prediction-id"] == answer.json()["prediction_ids"][0]


def test_kserve_v1_tells_what_is_served(gateway: GatewayUnderTest) -> None:
    assert gateway.client.get("/").json() == {"status": "alive"}
    assert gateway.client.get("/v1/models").json() == {"models": ["churn", "shop"]}
    assert gateway.client.get("/v1/models/churn").json() == {"name": "churn", "ready": True}
    assert gateway.client.get("/v1/models/nothing").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("churn:predict", {"instances": [[20, "x"]]}, 422, "instances[0].visits"),
        ("churn:predict", {"instances": [["pro", 20]]}, 422, "the order of a row's values is age, visits"),
        ("churn:predict", {"instances": [[20, 1]], "inputs": [[20, 1]]}, 400, "either instances or inputs"),
        ("churn:predict", {}, 400, "either instances or inputs"),
        ("nothing:predict", {"instances": [[20, 1]]}, 404, "no deployment 'nothing'"),
        ("churn:explain", {"instances": [[20, 1]]}, 405, "does not take POST"),
    ],
)
def test_kserve_v1_refuses_with_an_error(
    gateway: GatewayUnderTest, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = gateway.post(f"/v1/models/{path}", body)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]


def test_sagemaker_asks_for_its_limits(gateway: GatewayUnderTest) -> None:
    limits = gateway.client.get("/execution-parameters").json()
    assert limits["BatchStrategy"] == "MULTI_RECORD"
    assert limits["MaxPayloadInMB"] * 1024 * 1024 <= gateway.gateway.limits.body_bytes
    assert 0 < limits["MaxConcurrentTransforms"] <= gateway.gateway.limits.requests


@pytest.mark.parametrize("kind", ["application/jsonlines", "application/x-ndjson; charset=utf-8"])
def test_sagemaker_sends_json_lines(gateway: GatewayUnderTest, kind: str) -> None:
    lines = b'{"age": 20, "visits": 1}\n\n{"age": 70, "visits": 2}\r\n'
    answer = gateway.client.post("/invocations", content=lines, headers={**CHURN, "content-type": kind})
    assert [row["prediction"] for row in answer.json()["predictions"]] == [0, 1]


def test_a_broken_line_is_refused(gateway: GatewayUnderTest) -> None:
    headers = {**CHURN, "content-type": "application/jsonlines"}
    answer = gateway.client.post("/invocations", content=b'{"age": 20, "visits": 1}\n{"age"', headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST")
    answer = gateway.client.post("/invocations", content=b'{"age": 20}', headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "rows[0].visits")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/html, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
def test_accept_decides_the_form_of_the_answer(gateway: GatewayUnderTest, accept: str, kind: str) -> None:
    rows = {"instances": [[20, 1], [70, 2]]}
    answer = gateway.client.post("/invocations", json=rows, headers={**CHURN, "accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    if kind.startswith("text/csv"):
        found = [int(line.split(",")[0]) for line in answer.text.splitlines()]
    elif kind == "application/jsonlines":
        found = [msgspec.json.decode(line)["prediction"] for line in answer.text.splitlines()]
    else:
        found = [row["prediction"] for row in answer.json()["predictions"]]
    assert found == [0, 1]


def test_a_list_in_a_csv_answer_is_json(gateway: GatewayUnderTest) -> None:
    headers = {"x-penstock-deployment": "shop", "accept": "text/csv"}
    rows = {"instances": [{"user": "u1", "recent": "item9"}], "params": {"k": 2}}
    answer = gateway.client.post("/invocations", json=rows, headers=headers)
    assert answer.text.startswith('"[""item9"",""item0""]",')


def test_an_answer_that_cannot_be_given_is_said(gateway: GatewayUnderTest) -> None:
    headers = {**CHURN, "accept": "application/x-protobuf"}
    answer = gateway.client.post("/invocations", json={"instances": [[20, 1]]}, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (406, "NOT_ACCEPTABLE")


def _infer(gateway: GatewayUnderTest, head: dict[str, Any], tail: bytes, size: str | None = None) -> httpx.Response:
    text = msgspec.json.encode(head)
    headers = {
        "inference-header-content-length": str(len(text)) if size is None else size,
        "content-type": "application/octet-stream",
    }
    return gateway.client.post(INFER, content=text + tail, headers=headers)


def _binary(name: str, values: np.ndarray[Any, Any], kind: str, **more: Any) -> dict[str, Any]:
    size = {"binary_data_size": values.nbytes}
    return {"name": name, "shape": list(values.shape), "datatype": kind, "parameters": size} | more


def test_tensors_come_and_go_as_bytes(gateway: GatewayUnderTest) -> None:
    inputs = [_binary("age", AGES, "FP64"), _binary("visits", VISITS, "INT64")]
    head = {"id": "7", "inputs": inputs, "parameters": {"binary_data_output": True}}
    answer = _infer(gateway, head, AGES.tobytes() + VISITS.tobytes())
    assert answer.status_code == 200, answer.text
    size = int(answer.headers["inference-header-content-length"])
    body = msgspec.json.decode(answer.content[:size])
    assert (body["id"], [output.get("data") for output in body["outputs"]]) == ("7", [None, None])
    prediction = np.frombuffer(answer.content, "<i8", 2, size)
    score = np.frombuffer(answer.content, "<f8", 2, size + 16)
    assert (prediction.tolist(), len(answer.content)) == ([0, 1], size + 32)
    assert score[0] < 0.5 < score[1]


def test_bytes_and_json_may_be_mixed(gateway: GatewayUnderTest) -> None:
    visits = {"name": "visits", "shape": [2], "datatype": "INT64", "data": [1, 2]}
    outputs = [{"name": "score", "parameters": {"binary_data": True}}, {"name": "prediction"}]
    head = {"inputs": [visits, _binary("age", AGES, "FP64")], "outputs": outputs}
    answer = _infer(gateway, head, AGES.tobytes())
    size = int(answer.headers["inference-header-content-length"])
    score, prediction = msgspec.json.decode(answer.content[:size])["outputs"]
    assert score["parameters"] == {"binary_data_size": 16} and "data" not in score
    assert prediction["data"] == [0, 1]
    plain = gateway.post(
        INFER, {"inputs": [visits, {"name": "age", "shape": [2], "datatype": "FP64", "data": [20, 70]}]}
    )
    assert np.frombuffer(answer.content, "<f8", 2, size).tolist() == plain.json()["outputs"][1]["data"]


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<i1", "<u2", "<i4"])
def test_one_matrix_of_any_number_type(gateway: GatewayUnderTest, kind: str) -> None:
    matrix = np.array([[20, 1], [70, 2]]).astype(kind)
    name = {"<f2": "FP16", "<f4": "FP32", "<i1": "INT8", "<u2": "UINT16", "<i4": "INT32"}[kind]
    if name.startswith("FP"):  # `visits` takes whole numbers only
        matrix = matrix[:, :1]
        inputs = [_binary("age", matrix, name), {"name": "visits", "shape": [2], "datatype": "INT64", "data": [1, 2]}]
    else:
        inputs = [_binary("x", matrix, name)]
    answer = _infer(gateway, {"inputs": inputs}, matrix.tobytes())
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == [0, 1]


def test_bfloat16_is_the_upper_half_of_a_float(gateway: GatewayUnderTest) -> None:
    upper = np.frombuffer(np.array([20.0, 70.0], "<f4").tobytes(), "<u2")[1::2].copy()
    visits = {"name": "visits", "shape": [2], "datatype": "INT64", "data": [1, 2]}
    answer = _infer(gateway, {"inputs": [_binary("age", upper, "BF16"), visits]}, upper.tobytes())
    assert answer.json()["outputs"][0]["data"] == [0, 1]


def test_texts_have_their_length_before_them(gateway: GatewayUnderTest) -> None:
    def pack(*texts: str) -> bytes:
        return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)

    users, recent = pack("ü1", "u2"), pack("item9", "")
    inputs = [
        {"name": name, "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
        for name, raw in (("user", users), ("recent", recent))
    ]
    head = msgspec.json.encode({"inputs": inputs, "parameters": {"k": 2, "binary_data_output": True}})
    headers = {"inference-header-content-length": str(len(head))}
    answer = gateway.client.post("/v2/models/shop/infer", content=head + users + recent, headers=headers)
    size = int(answer.headers["inference-header-content-length"])
    items = msgspec.json.decode(answer.content[:size])["outputs"][0]
    raw = answer.content[size : size + items["parameters"]["binary_data_size"]]
    assert raw == pack("item9", "item0", "item0", "item1")


def test_whole_columns_of_bytes_are_read_at_once(gateway: GatewayUnderTest) -> None:
    wide = AGES.astype("<f4")[:, None]
    for inputs, tail in [
        ([_binary("visits", VISITS, "INT64"), _binary("age", wide, "FP32")], VISITS.tobytes() + wide.tobytes()),
        ([_binary("x", np.array([[20, 1], [70, 2]], "<i8"), "INT64")], np.array([[20, 1], [70, 2]], "<i8").tobytes()),
    ]:
        answer = _infer(gateway, {"inputs": inputs}, tail)
        assert answer.json()["outputs"][0]["data"] == [0, 1]
    logged = gateway.logged("churn")["inputs"].to_list()
    assert all(json.loads(row).keys() == {"age", "visits"} for row in logged)


@pytest.mark.parametrize(
    ("age", "visits", "said"),
    [
        (np.array([np.nan, 1.0]), VISITS, "inputs[0].data[0]"),
        (np.array([1.0, np.inf]), VISITS, "inputs[0].data[1]"),
        (AGES, np.array([1, 2, 3], "<i8"), "inputs[1].shape"),
        (AGES, np.array([1.0, 2.5]), "inputs[1].datatype"),
        (AGES[:0], VISITS[:0], "holds no rows"),
    ],
    ids=["missing", "infinite", "lengths", "type", "empty"],
)
def test_a_value_among_bytes_is_refused_by_name(
    gateway: GatewayUnderTest, age: np.ndarray[Any, Any], visits: np.ndarray[Any, Any], said: str
) -> None:
    inputs = [_binary("age", age, "FP64"), _binary("visits", visits, "INT64" if visits.dtype.kind == "i" else "FP64")]
    answer = _infer(gateway, {"inputs": inputs}, age.tobytes() + visits.tobytes())
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]


AGE, VISIT = _binary("age", AGES, "FP64"), {"name": "visits", "shape": [2], "datatype": "INT64", "data": [1, 2]}


@pytest.mark.parametrize(
    ("inputs", "tail", "size", "said"),
    [
        ([AGE, VISIT], AGES.tobytes()[:-1], None, "binary_data_size"),
        ([AGE, VISIT], AGES.tobytes() + b"x", None, "belong to none"),
        ([AGE | {"shape": [3]}, VISIT], AGES.tobytes(), None, "24 bytes"),
        ([AGE | {"shape": [-2]}, VISIT], AGES.tobytes(), None, "bytes"),
        ([AGE | {"datatype": "FP8"}, VISIT], AGES.tobytes(), None, "no datatype 'FP8'"),
        ([AGE | {"parameters": {"binary_data_size": -1}}, VISIT], AGES.tobytes(), None, "binary_data_size"),
        ([AGE | {"datatype": "BYTES"}, VISIT], AGES.tobytes(), None, "reaches beyond"),
        ([AGE, VISIT], AGES.tobytes(), "x", "Inference-Header-Content-Length"),
        ([AGE, VISIT], AGES.tobytes(), "100000", "Inference-Header-Content-Length"),
        ([AGE, VISIT], AGES.tobytes(), "-1", "Inference-Header-Content-Length"),
        ([AGE, VISIT], AGES.tobytes(), "9" * 5_000, "Inference-Header-Content-Length"),
        ([AGE, VISIT], AGES.tobytes(), "3", "not valid JSON"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(
    gateway: GatewayUnderTest, inputs: list[dict[str, Any]], tail: bytes, size: str | None, said: str
) -> None:
    answer = _infer(gateway, {"inputs": inputs}, tail, size)
    assert answer.status_code in (400, 422), answer.text
    assert said in answer.json()["error"]


@pytest.mark.parametrize(("body", "status"), [({"instances": [[20, 1]]}, 200), ({"instances": []}, 422)])
def test_no_browser_takes_an_answer_for_a_page(gateway: GatewayUnderTest, body: dict[str, Any], status: int) -> None:
    answer = gateway.post("/invocations", body, **CHURN)
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (status, "nosniff")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_bodies_may_come_packed(gateway: GatewayUnderTest, encoding: str, pack: Any) -> None:
    body = pack(msgspec.json.encode({"instances": [[20, 1], [70, 2]]}))
    headers = {**CHURN, "content-encoding": encoding, "content-type": "application/json"}
    answer = gateway.client.post("/invocations", content=body, headers=headers)
    assert [row["prediction"] for row in answer.json()["predictions"]] == [0, 1]


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"no gzip", 400),
        ("gzip", gzip.compress(b'{"instances": [[20, 1]]}', mtime=0)[:-9], 400),
        ("gzip", gzip.compress(b" " * 50_000_000, mtime=0), 413),
        ("deflate", b"\x00", 400),
        ("br", b"anything", 415),
    ],
    ids=["other", "cut", "bomb", "damaged", "unknown"],
)
def test_a_packed_body_that_cannot_be_unpacked_is_refused(
    gateway: GatewayUnderTest, encoding: str, body: bytes, status: int
) -> None:
    answer = gateway.client.post("/invocations", content=body, headers={**CHURN, "content-encoding": encoding})
    assert answer.status_code == status, answer.text


VERTEX = {
    "own": {"AIP_HEALTH_ROUTE": "/health-of-vertex", "AIP_PREDICT_ROUTE": "/predict-of-vertex"},
    "usual": {"AIP_ENDPOINT_ID": "12", "AIP_DEPLOYED_MODEL_ID": "34"},
}


@pytest.mark.parametrize("routes", VERTEX.values(), ids=VERTEX)
def test_vertex_asks_at_its_own_routes(gateway: GatewayUnderTest, routes: dict[str, str]) -> None:
    usual = "/v1/endpoints/12/deployedModels/34:predict"
    other = Gateway(gateway.log, also=find_vertex(routes))
    server = HttpServer(other)
    try:
        with httpx.Client(base_url=server.url) as client:
            health = routes.get("AIP_HEALTH_ROUTE", usual)
            assert client.get(health).status_code == 503
            other.swap(RoutingTable(1, {"churn": gateway.gateway.table.get("churn")}))
            assert client.get(health).status_code == client.head(health).status_code == 200
            body = {"instances": [[20, 1], [70, 2]], "parameters": {"key": "somebody"}}
            answer = client.post(routes.get("AIP_PREDICT_ROUTE", usual), json=body)
            assert [row["prediction"] for row in answer.json()["predictions"]] == [0, 1]
            refused = client.post(routes.get("AIP_PREDICT_ROUTE", usual), json={"instances": [["x", 1]]})
            assert (refused.status_code, list(refused.json())) == (422, ["error"])
            assert client.delete(health).status_code == 405
    finally:
        server.stop()


def test_vertex_is_spoken_only_where_it_started_the_process() -> None:
    assert find_vertex({}) == []
    with pytest.raises(InvalidInputError, match="AIP_PREDICT_ROUTE is 'predict'"):
        find_vertex({"AIP_HEALTH_ROUTE": "/health", "AIP_PREDICT_ROUTE": "predict"})

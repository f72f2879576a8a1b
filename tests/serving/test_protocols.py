"""What the gateway says over HTTP in each of its protocols, and how it refuses."""

from typing import Any

import msgspec
import pytest

from penstock.core import failpoints
from serving.gateways import GatewayUnderTest


@pytest.fixture(scope="module")
def gateway(shared_gateway: GatewayUnderTest) -> GatewayUnderTest:
    """None of the tests here changes what is served."""
    return shared_gateway


AGE = {"name": "age", "shape": [2], "datatype": "FP64", "data": [20.0, 70]}
VISITS = {"name": "visits", "shape": [2, 1], "datatype": "INT64", "data": [[1], [2]]}


def test_plain_rows_come_back_as_rows(gateway: GatewayUnderTest) -> None:
    answer = gateway.post("/predict/churn", {"rows": [{"age": 20, "visits": 1}, {"age": 70.5, "visits": 2}]})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["deployment"], body["model"]) == ("churn", "churn")
    young, old = body["predictions"]
    assert (young["prediction"], old["prediction"]) == (0, 1)
    assert young["score"] < 0.5 < old["score"]
    assert (young["revision"], young["version"], young["status"]) == (1, 1, "ok")
    assert answer.headers["x-penstock-prediction-id"] == young["id"] != old["id"]


def test_a_bare_list_of_rows_will_do(gateway: GatewayUnderTest) -> None:
    assert len(gateway.predict("churn", [{"age": 20, "visits": 1}] * 3)) == 3


def test_open_inference_takes_a_tensor_per_column(gateway: GatewayUnderTest) -> None:
    answer = gateway.post("/v2/models/churn/infer", {"id": "mine", "inputs": [AGE, VISITS]})
    body = answer.json()
    assert answer.status_code == 200, body
    assert (body["model_name"], body["model_version"], body["id"]) == ("churn", "1", "mine")
    prediction, score = body["outputs"]
    assert prediction == {"name": "prediction", "datatype": "INT64", "shape": [2], "data": [0, 1]}
    assert (score["name"], score["datatype"], score["shape"]) == ("score", "FP64", [2])
    assert len(body["parameters"]["prediction_ids"]) == 2
    assert answer.headers["x-penstock-prediction-id"] == body["parameters"]["prediction_ids"][0]


def test_open_inference_takes_one_tensor_for_all_columns(gateway: GatewayUnderTest) -> None:
    matrix = {"name": "x", "shape": [2, 2], "datatype": "INT64", "data": [[20, 1], [70, 2]]}
    for data in (matrix["data"], [20, 1, 70, 2]):
        body = gateway.post("/v2/models/churn/infer", {"inputs": [matrix | {"data": data}]}).json()
        assert body["outputs"][0]["data"] == [0, 1]


def test_open_inference_gives_the_outputs_that_are_asked_for(gateway: GatewayUnderTest) -> None:
    asked = {"inputs": [AGE, VISITS], "outputs": [{"name": "score"}]}
    outputs = gateway.post("/v2/models/churn/versions/1/infer", asked).json()["outputs"]
    assert [output["name"] for output in outputs] == ["score"]


def test_open_inference_describes_its_models(gateway: GatewayUnderTest) -> None:
    assert gateway.client.get("/v2").json()["name"] == "penstock"
    assert gateway.client.get("/v2/health/live").json() == {"live": True}
    assert gateway.client.get("/v2/health/ready").json() == {"ready": True}
    assert gateway.client.get("/v2/models").json() == {"models": ["churn", "shop"]}
    assert gateway.client.get("/v2/models/churn/ready").json() == {"name": "churn", "ready": True}
    assert gateway.client.get("/v2/models/churn/versions/1/ready").status_code == 200
    about = gateway.client.get("/v2/models/shop/versions/1").json()
    assert about["versions"] == ["1"]
    assert about["inputs"] == [
        {"name": "user", "datatype": "BYTES", "shape": [-1]},
        {"name": "recent", "datatype": "BYTES", "shape": [-1]},
    ]
    assert about["outputs"][0] == {"name": "items", "datatype": "BYTES", "shape": [-1, -1]}


def test_open_inference_ranks(gateway: GatewayUnderTest) -> None:
    inputs = [
        {"name": "user", "shape": [2], "datatype": "BYTES", "data": ["u1", "u2"]},
        {"name": "recent", "shape": [2], "datatype": "BYTES", "data": ["item9", ""]},
    ]
    body = gateway.post("/v2/models/shop/infer", {"inputs": inputs, "parameters": {"k": 2}}).json()
    items, scores = body["outputs"]
    assert (items["shape"], items["data"]) == ([2, 2], ["item9", "item0", "item0", "item1"])
    assert scores["shape"] == [2, 2]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["visits", "age"], "data": [[1, 20.0], [2, 70.0]]}},
        {
            "dataframe_split": {
                "columns": ["visits", "age", "more"],
                "index": [0, 1],
                "data": [[1, 20.0, 0], [2, 70, 0]],
            }
        },
        {"dataframe_records": [{"age": 20, "visits": 1}, {"age": 70, "visits": 2, "more": "?"}]},
        {"instances": [{"age": 20, "visits": 1}, {"age": 70, "visits": 2}]},
        {"instances": [[20, 1], [70, 2]]},
        {"inputs": {"age": [20, 70], "visits": [1, 2]}},
        {"inputs": {"age": [[20], [70]], "visits": [[1], [2]]}},
        {"inputs": [{"age": 20, "visits": 1}, {"age": 70, "visits": 2}]},
        {"inputs": [[20, 1], [70, 2]], "params": {"time": "2026-03-02T10:00:00Z"}},
    ],
)
def test_invocations_take_the_forms_of_mlflow(gateway: GatewayUnderTest, body: dict[str, Any]) -> None:
    answer = gateway.post("/invocations", body, **{"x-penstock-deployment": "churn"})
    assert answer.status_code == 200, answer.text
    assert [row["prediction"] for row in answer.json()["predictions"]] == [0, 1]
    assert len(answer.json()["prediction_ids"]) == 2
    assert answer.headers["x-penstock-prediction-id"] == answer.json()["prediction_ids"][0]


def test_invocations_take_csv(gateway: GatewayUnderTest) -> None:
    headers = {"content-type": "text/csv; charset=utf-8", "x-penstock-deployment": "churn"}
    answer = gateway.client.post("/invocations", content="visits,age\r\n1,20.5\r\n2,70\r\n", headers=headers)
    assert [row["prediction"] for row in answer.json()["predictions"]] == [0, 1]
    answer = gateway.client.post("/invocations", content="visits,age\n1,20\nx,70\n", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "rows[1].visits")


def test_invocations_need_a_name_only_where_there_are_several(gateway: GatewayUnderTest) -> None:
    row = {"dataframe_records": [{"age": 20, "visits": 1}]}
    answer = gateway.post("/invocations", row)
    assert answer.status_code == 404
    assert "several deployments: churn, shop" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_probes_are_answered(gateway: GatewayUnderTest, path: str) -> None:
    assert gateway.client.get(path).status_code == 200
    head = gateway.client.head(path)
    assert (head.status_code, head.content) == (200, b"")


GOOD = {"age": 20.0, "visits": 1}
REFUSALS: list[tuple[str, Any, int, str]] = [
    ("/predict/churn", {"rows": [GOOD, {"age": "old", "visits": 1}]}, 422, "rows[1].age"),
    ("/predict/churn", {"rows": [{"age": 20.0}]}, 422, "rows[0].visits"),
    ("/predict/churn", {"rows": [GOOD | {"agee": 1}]}, 422, "rows[0].agee"),
    ("/predict/churn", {"rows": [GOOD | {"age": None}]}, 422, "rows[0].age"),
    ("/predict/churn", {"rows": [GOOD | {"age": True}]}, 422, "rows[0].age"),
    ("/predict/churn", {"rows": [GOOD | {"visits": 1.5}]}, 422, "rows[0].visits"),
    ("/predict/churn", {"rows": [GOOD | {"visits": 2**70}]}, 422, "rows[0].visits"),
    ("/predict/churn", {"rows": []}, 422, "rows"),
    ("/predict/churn", {"rows": {"age": 1}}, 422, "rows"),
    ("/predict/churn", {"row": [GOOD]}, 422, "row"),
    ("/predict/churn", {"rows": [GOOD], "time": "yesterday"}, 422, "time"),
    ("/predict/churn", {"rows": [GOOD], "time": "9999-12-31T23:59:59-23:59"}, 422, "time"),
    ("/predict/churn", {"rows": [GOOD], "k": 0}, 422, "k"),
    ("/predict/churn", {"rows": [GOOD], "version": 7}, 404, ""),
    ("/predict/nothing", {"rows": [GOOD]}, 404, ""),
    ("/predict/churn", 7, 422, ""),
    ("/invocations", {"inputs": [GOOD, {"age": "x", "visits": 1}]}, 422, "inputs[1].age"),
    ("/invocations", {"inputs": {"age": [1, "x"], "visits": [1, 2]}}, 422, "inputs.age[1]"),
    ("/invocations", {"inputs": {"age": [1, 2], "visits": [1]}}, 422, "inputs.visits"),
    ("/invocations", {"inputs": {"age": [1, 2]}}, 422, "inputs.visits"),
    ("/invocations", {"instances": [[1, 2, 3]]}, 422, "instances[0]"),
    ("/invocations", {"dataframe_split": {"columns": ["age"], "data": [[1]]}}, 422, "dataframe_split.data[0].visits"),
    ("/invocations", {"dataframe_split": {"data": [[1]]}}, 422, "dataframe_split"),
    ("/invocations", {"dataframe_records": [GOOD], "instances": [GOOD]}, 400, ""),
    ("/invocations", {"messages": []}, 400, ""),
    ("/invocations", [GOOD], 400, ""),
    ("/v2/models/churn/infer", {"inputs": []}, 422, ""),
    ("/v2/models/churn/infer", {"inputs": [AGE]}, 422, "inputs.visits"),
    ("/v2/models/churn/infer", {"inputs": [AGE | {"data": [1.0, "x"]}, VISITS]}, 422, "inputs[0].data[1]"),
    ("/v2/models/churn/infer", {"inputs": [AGE | {"datatype": "BYTES"}, VISITS]}, 422, "inputs[0].datatype"),
    ("/v2/models/churn/infer", {"inputs": [AGE | {"shape": [3]}, VISITS]}, 422, "inputs[0].data"),
    ("/v2/models/churn/infer", {"inputs": [AGE | {"shape": [1, 2]}, VISITS]}, 422, "inputs[0].shape"),
    ("/v2/models/churn/infer", {"inputs": [AGE | {"name": "aeg"}, VISITS]}, 422, "did you mean 'age'"),
    ("/v2/models/churn/infer", {"inputs": [AGE | {"shape": [1], "data": [1]}, VISITS]}, 422, "inputs[1].shape"),
    ("/v2/models/churn/infer", {"inputs": [AGE, VISITS], "outputs": [{"name": "?"}]}, 422, "no output '?'"),
    ("/v2/models/churn/infer", {"inputs": [AGE, VISITS], "parameters": {"time": 5}}, 422, "parameters.time"),
    ("/v2/models/nothing/infer", {"inputs": [AGE, VISITS]}, 404, ""),
    ("/v2/models/churn/versions/9/infer", {"inputs": [AGE, VISITS]}, 404, ""),
    ("/v2/models/churn/versions/x/infer", {"inputs": [AGE, VISITS]}, 404, ""),
]


@pytest.mark.parametrize(("path", "body", "status", "field"), REFUSALS)
def test_what_does_not_fit_is_refused_by_name(
    gateway: GatewayUnderTest, path: str, body: Any, status: int, field: str
) -> None:
    answer = gateway.post(path, body, **{"x-penstock-deployment": "churn"})
    assert answer.status_code == status, answer.text
    held = answer.json()
    if path.startswith("/v2"):
        assert list(held) == ["error"]
        assert field in held["error"]
    else:
        assert held["error_code"] and held["message"]
        assert held.get("field", "") == field


@pytest.mark.parametrize("path", ["/predict/churn", "/invocations", "/v2/models/churn/infer"])
@pytest.mark.parametrize("body", [b"", b"{", b'{"rows": [', b"\xff\xfe", b"nul"])
def test_broken_json_is_a_bad_request(gateway: GatewayUnderTest, path: str, body: bytes) -> None:
    headers = {"content-type": "application/json", "x-penstock-deployment": "churn"}
    answer = gateway.client.post(path, content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert "not valid JSON" in answer.text or "JSON object" in answer.text


@pytest.mark.parametrize("path", ["/predict/churn", "/invocations", "/v2/models/churn/infer"])
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 50_000, b'{"inputs":' + b"[" * 100_000, b'{"rows":' + b"[" * 100_000]
)
def test_nesting_without_end_is_refused(gateway: GatewayUnderTest, path: str, body: bytes) -> None:
    headers = {"content-type": "application/json", "x-penstock-deployment": "churn"}
    assert gateway.client.post(path, content=body, headers=headers).status_code in (400, 422)
    assert gateway.client.get("/ping").status_code == 200


def test_wrong_methods_and_paths_are_refused(gateway: GatewayUnderTest) -> None:
    for method, path, status in [
        ("GET", "/predict/churn", 405),
        ("DELETE", "/v2/models/churn/infer", 405),
        ("POST", "/v2/health/live", 405),
        ("GET", "/invocations", 405),
        ("GET", "/nothing", 404),
        ("GET", "/v2/models/churn/versions", 404),
        ("POST", "/predict/a/b", 404),
        ("GET", "/v2/models/nothing", 404),
    ]:
        answer = gateway.client.request(method, path)
        assert answer.status_code == status, (method, path)
        assert msgspec.json.decode(answer.content)
        assert ("allow" in answer.headers) == (status == 405)


def test_bodies_are_bounded(gateway: GatewayUnderTest) -> None:
    size = gateway.gateway.limits.body_bytes
    assert gateway.client.post("/predict/churn", content=b"x" * (size + 1)).status_code == 413
    parts = (b"x" * 65536 for _ in range(size // 65536 + 2))
    answer = gateway.client.post("/predict/churn", content=parts)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "TOO_LARGE")


def test_other_media_types_are_refused(gateway: GatewayUnderTest) -> None:
    answer = gateway.client.post("/invocations", content=b"<a/>", headers={"content-type": "application/xml"})
    assert (answer.status_code, answer.json()["error_code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_too_many_rows_are_refused(gateway: GatewayUnderTest) -> None:
    answer = gateway.post("/predict/churn", [GOOD] * 10_001)
    assert (answer.status_code, answer.json()["field"]) == (422, "rows")


def test_a_refused_request_is_no_prediction(gateway: GatewayUnderTest) -> None:
    before = gateway.logged("churn").height
    gateway.post("/predict/churn", {"rows": [{"age": "x"}]})
    assert gateway.logged("churn").height == before


def test_an_error_of_the_gateway_itself_shows_nothing_of_its_inside(gateway: GatewayUnderTest) -> None:
    failpoints.arm("predictions.segment_log.write=eio")
    answer = gateway.post("/predict/churn", [GOOD])
    assert (answer.status_code, answer.json()["error_code"]) == (507, "STORAGE_FULL")
    assert "Traceback" not in answer.text

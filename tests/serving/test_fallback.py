"""What answers when every revision fails, and how each protocol marks it."""

from typing import Any

import pytest

from penstock.core import failpoints
from serving.gateways import GatewayUnderTest
from serving.models import Backend, make_logistic

ROW = {"age": 40.0, "visits": 1}
DEFAULT = {"prediction": 0, "score": 0.25}
TENSORS = [
    {"name": "age", "shape": [1], "datatype": "FP64", "data": [40.0]},
    {"name": "visits", "shape": [1], "datatype": "INT64", "data": [1]},
]
BODIES: dict[str, Any] = {
    "/predict/churn": [ROW],
    "/v1/models/churn:predict": {"instances": [ROW]},
    "/invocations": {"dataframe_records": [ROW]},
    "/v2/models/churn/infer": {"inputs": TENSORS},
}


def release(backend: Backend, gateway: GatewayUnderTest, **terms: Any) -> None:
    backend.register(make_logistic(1), "churn", "binary")
    backend.serving.deploy("churn", "churn", 2, **terms)
    gateway.loop.step()


@pytest.mark.parametrize("path", BODIES)
def test_the_default_answer_is_marked_in_every_protocol(gateway: GatewayUnderTest, backend: Backend, path: str) -> None:
    release(backend, gateway, default=DEFAULT)
    headers = {"x-penstock-deployment": "churn"}
    fine = gateway.post(path, BODIES[path], **headers)
    assert fine.status_code == 200 and "x-penstock-status" not in fine.headers and "fallback" not in fine.text
    failpoints.arm("serving.predict=eio")
    reply = gateway.post(path, BODIES[path], **headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-penstock-status"] == "fallback"
    assert '"fallback"' in reply.text and "0.25" in reply.text
    logged = gateway.logged("churn").row(-1, named=True)
    assert (logged["status"], logged["output"]) == ("fallback", '{"prediction":0,"score":0.25}')


def test_without_a_default_answer_the_request_fails(gateway: GatewayUnderTest, backend: Backend) -> None:
    release(backend, gateway)
    failpoints.arm("serving.predict=eio")
    assert gateway.post("/predict/churn", [ROW]).status_code == 500


def test_a_ranking_model_falls_back_to_popular_items(gateway: GatewayUnderTest) -> None:
    failpoints.arm("serving.predict=eio")
    reply = gateway.post("/recommend/shop", {"entity": {"user": "u", "recent": "item9"}, "k": 2})
    assert (reply.json()["status"], reply.headers["x-penstock-status"]) == ("fallback", "fallback")
    assert [row["item"] for row in reply.json()["items"]] == ["item0", "item1"]

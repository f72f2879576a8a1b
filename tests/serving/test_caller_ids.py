"""What callers call their requests: kept in the log, answered back, and good for telling outcomes by."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pytest

from penstock.core.ids import SegmentId
from penstock.predictions.caller_ids import find_predictions
from penstock.predictions.types import Segment
from penstock.registry.format.types import ModelFacts
from penstock.serving.caller_ids import choose_caller_id
from serving.gateways import GatewayUnderTest
from serving.models import Backend

ROW = {"age": 20, "visits": 1}
ONE = {"instances": [[20, 1]]}
AGE = {"name": "age", "shape": [2], "datatype": "FP64", "data": [20.0, 70]}
VISITS = {"name": "visits", "shape": [2], "datatype": "INT64", "data": [1, 2]}


@pytest.mark.parametrize("header", ["X-Amzn-SageMaker-Inference-Id", "ce-id", "X-Request-Id"])
def test_an_id_in_a_header_is_kept_beside_the_prediction(gateway: GatewayUnderTest, header: str) -> None:
    answer = gateway.post("/invocations", ONE, **{header: "order-77", "X-Penstock-Deployment": "churn"})
    assert answer.status_code == 200, answer.text
    rows = gateway.logged("churn")
    assert rows["caller_id"].to_list() == ["order-77"]
    assert rows["id"].to_list() == answer.json()["prediction_ids"]


def test_each_row_of_a_request_has_its_place_in_its_name(gateway: GatewayUnderTest) -> None:
    answer = gateway.post("/v2/models/churn/infer", {"id": "batch", "inputs": [AGE, VISITS]}, **{"ce-id": "other"})
    assert answer.json()["id"] == "batch"  # the body goes first
    assert gateway.logged("churn")["caller_id"].to_list() == ["batch/0", "batch/1"]


def test_rows_of_one_request_keep_their_places_where_two_revisions_answer(
    gateway: GatewayUnderTest, backend: Backend
) -> None:
    version = backend.registry.get_version("churn", 1)
    second = backend.registry.add_version("churn", "again", tree=version.tree, facts=_facts(backend))
    backend.serving.deploy("churn", "churn", second.version, strategy="canary", steps=(0.5, 1.0))
    gateway.loop.step()
    gateway.post("/predict/churn", [ROW] * 40, **{"X-Request-Id": "r"})
    rows = gateway.logged("churn")
    assert set(rows["revision"]) == {1, 2}
    assert sorted(rows["caller_id"]) == sorted(f"r/{place}" for place in range(40))


def test_requests_without_a_name_have_none(gateway: GatewayUnderTest) -> None:
    gateway.post("/predict/churn", [ROW])
    gateway.post("/predict/churn", [ROW], **{"X-Request-Id": "x" * 201})  # longer than any id
    assert gateway.logged("churn")["caller_id"].null_count() == 2


def test_a_caller_knows_the_answer_again(gateway: GatewayUnderTest) -> None:
    headers = {"X-Request-Id": "r1", "X-Amzn-SageMaker-Custom-Attributes": "trace=5"}
    answer = gateway.post("/predict/churn", [ROW], **headers)
    number = answer.headers["x-penstock-prediction-id"]
    assert answer.headers["x-request-id"] == "r1"
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == f"trace=5;penstock-prediction-id={number}"
    assert "x-request-id" not in gateway.post("/predict/churn", [ROW]).headers


def test_an_outcome_may_name_what_its_caller_called_it(gateway: GatewayUnderTest, backend: Backend) -> None:
    ids = {}
    for name in ("a", "b", "a"):  # of two with one name the later counts
        answer = gateway.post("/predict/churn", [ROW], **{"X-Request-Id": name})
        ids[name] = answer.headers["x-penstock-prediction-id"]
        gateway.log.rotate()
    gateway.loop.step()
    segments = backend.predictions.list_segments("churn")
    assert find_predictions(backend.objects, reversed(segments), ["a", "b", "nobody"]) == ids


def test_files_of_older_versions_have_no_names(backend: Backend) -> None:
    assert find_predictions(backend.objects, _segments_without_names(backend), ["a"]) == {}


def test_what_is_no_text_of_a_usual_length_is_no_name() -> None:
    assert choose_caller_id("", {b"ce-id": b"line\nbreak", b"x-request-id": b"good"}) == "good"
    assert choose_caller_id("é", {}) == ""


def _facts(backend: Backend) -> ModelFacts:
    version = backend.registry.get_version("churn", 1)
    return ModelFacts(version.flavor, version.task, version.signature, version.classes)


def _segments_without_names(backend: Backend) -> Iterator[Segment]:
    buffer = io.BytesIO()
    pl.DataFrame({"row": [0], "key": [""]}).write_parquet(buffer)
    yield Segment(
        id=SegmentId("s"),
        deployment="churn",
        first_at=datetime.now(UTC),
        last_at=datetime.now(UTC),
        rows=1,
        digest=backend.objects.put_bytes(buffer.getvalue()),
    )

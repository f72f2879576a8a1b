"""NVIDIA's Triton client, which speaks Open Inference V2 and sends tensors as bytes by default."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from conftest import Served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served.url.removeprefix("http://")) as client:
        yield client


def _inputs(rows: "np.ndarray", *, binary: bool, kind: str = "FP64") -> list[triton.InferInput]:
    inputs = []
    for place, name in enumerate(("age", "visits")):
        tensor = triton.InferInput(name, [len(rows)], kind)
        tensor.set_data_from_numpy(np.ascontiguousarray(rows[:, place]), binary_data=binary)
        inputs.append(tensor)
    return inputs


def test_it_finds_a_server_that_is_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("churn")
    assert not client.is_model_ready("nothing")
    about = client.get_server_metadata()
    assert about["name"] == "penstock" and "binary_tensor_data" in about["extensions"]
    model = client.get_model_metadata("churn")
    assert [tensor["name"] for tensor in model["inputs"]] == ["age", "visits"]
    assert [tensor["datatype"] for tensor in model["outputs"]] == ["INT64", "FP64"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_it_infers(client: triton.InferenceServerClient, served: Served, binary_in: bool, binary_out: bool) -> None:
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("score", "prediction")]
    inputs = _inputs(np.array(served.rows), binary=binary_in)
    answer = client.infer("churn", inputs, outputs=outputs, request_id="mine", model_version="1")
    assert answer.as_numpy("prediction").tolist() == served.prediction
    np.testing.assert_allclose(answer.as_numpy("score"), served.score, rtol=1e-5)
    held = answer.get_response()
    assert (held["id"], held["model_name"], held["model_version"]) == ("mine", "churn", "1")


def test_all_outputs_come_when_none_is_named(client: triton.InferenceServerClient, served: Served) -> None:
    answer = client.infer("churn", _inputs(np.array(served.rows), binary=True))
    assert answer.as_numpy("prediction").tolist() == served.prediction
    np.testing.assert_allclose(answer.as_numpy("score"), served.score, rtol=1e-5)


def test_single_precision_is_taken(client: triton.InferenceServerClient, served: Served) -> None:
    rows = np.array(served.rows, dtype=np.float32)
    answer = client.infer("churn", _inputs(rows, binary=True, kind="FP32"))
    np.testing.assert_allclose(answer.as_numpy("score"), served.score, rtol=1e-5)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_bodies_may_be_compressed(client: triton.InferenceServerClient, served: Served, algorithm: str) -> None:
    inputs = _inputs(np.array(served.rows), binary=True)
    answer = client.infer("churn", inputs, request_compression_algorithm=algorithm)
    assert answer.as_numpy("prediction").tolist() == served.prediction


def test_many_at_once(client: triton.InferenceServerClient, served: Served) -> None:
    with triton.InferenceServerClient(served.url.removeprefix("http://"), concurrency=8) as many:
        waiting = [many.async_infer("churn", _inputs(np.array(served.rows), binary=True)) for _ in range(64)]
        for answer in waiting:
            assert answer.get_result().as_numpy("prediction").tolist() == served.prediction


def test_a_refusal_is_told(client: triton.InferenceServerClient) -> None:
    wrong = triton.InferInput("aeg", [1], "FP64")
    wrong.set_data_from_numpy(np.zeros(1))
    with pytest.raises(InferenceServerException, match="no input 'aeg'"):
        client.infer("churn", [wrong])
    with pytest.raises(InferenceServerException, match="no deployment 'nothing'"):
        client.infer("nothing", _inputs(np.zeros((1, 2)), binary=True))

"""KServe's own Python client, in both versions of its protocol."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

from conftest import Served


def ask(served: Served, protocol: str, *calls: tuple[str, Any, dict[str, Any]]) -> list[Any]:
    """The answers of one client to several calls: method, first argument, named arguments."""

    async def go() -> list[Any]:
        client = InferenceRESTClient(RESTConfig(protocol=protocol, retries=0))
        try:
            return [await getattr(client, method)(served.url + path, **named) for method, path, named in calls]
        finally:
            await client.close()

    return asyncio.run(go())


def test_v1_predicts(served: Served) -> None:
    rows = {"instances": served.rows}
    ready, answer = ask(
        served,
        "v1",
        ("is_model_ready", "", {"model_name": "churn"}),
        ("infer", "", {"data": rows, "model_name": "churn"}),
    )
    assert ready
    assert [row["prediction"] for row in answer["predictions"]] == served.prediction


@pytest.mark.parametrize("binary", [True, False])
def test_v2_infers(served: Served, binary: bool) -> None:
    inputs = []
    for place, name in enumerate(("age", "visits")):
        tensor = InferInput(name, [len(served.rows)], "FP64")
        tensor.set_data_from_numpy(np.array(served.rows)[:, place], binary_data=binary)
        inputs.append(tensor)
    request = InferRequest(model_name="churn", infer_inputs=inputs, request_id="mine")
    live, ready, known, answer = ask(
        served,
        "v2",
        ("is_server_live", "", {}),
        ("is_server_ready", "", {}),
        ("is_model_ready", "", {"model_name": "churn"}),
        ("infer", "", {"data": request, "model_name": "churn"}),
    )
    assert live and ready and known
    assert (answer.id, answer.model_name) == ("mine", "churn")
    found = {output.name: output for output in answer.outputs}
    assert list(found["prediction"].data) == served.prediction
    np.testing.assert_allclose(found["score"].as_numpy(), served.score, rtol=1e-5)


def test_a_refusal_is_an_http_error(served: Served) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        ask(served, "v1", ("infer", "", {"data": {"instances": [["x", 1]]}, "model_name": "churn"}))
    assert refused.value.response.status_code == 422

"""The body of KServe V1 and Vertex AI: `{"instances": [a row each]}` in, `{"predictions": [a row each]}` out."""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from penstock.serving.calls import Answer, Call, Parameters
from penstock.serving.http import BadRequestError, HttpAnswer
from penstock.serving.protocols.bodies import decode_body
from penstock.serving.protocols.invocations import read_inputs, read_instances
from penstock.serving.protocols.protocol import answer_headers, describe


class InstancesRequest(Struct, frozen=True):
    """The body: `instances`, which KServe lets one call `inputs`, and parameters."""

    instances: Raw | UnsetType = UNSET
    inputs: Raw | UnsetType = UNSET
    parameters: Parameters | None = None


def read_instances_call(deployment: str, body: bytes) -> Call:
    """The call that a body asks for.

    Raises:
        BadRequestError: it is no JSON, or holds neither or both of `instances` and `inputs`.
    """
    asked = decode_body(body, InstancesRequest)
    instances, inputs = asked.instances, asked.inputs
    parameters = asked.parameters or Parameters()
    if isinstance(instances, Raw) and not isinstance(inputs, Raw):
        rows = instances
        return Call(
            deployment=deployment, read_rows=lambda decoder: read_instances(rows, decoder), parameters=parameters
        )
    if isinstance(inputs, Raw) and not isinstance(instances, Raw):
        columns = inputs
        return Call(
            deployment=deployment, read_rows=lambda decoder: read_inputs(columns, decoder), parameters=parameters
        )
    raise BadRequestError("the body has to hold either instances or inputs", hint='send {"instances": [row, ...]}')


def write_predictions(answer: Answer) -> HttpAnswer:
    """A row for each instance; the ids stand in the header and beside the predictions."""
    body = {"predictions": [item.output for item in answer.predictions], **describe(answer)}
    return HttpAnswer(200, msgspec.json.encode(body), answer_headers(answer))

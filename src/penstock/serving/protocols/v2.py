"""The Open Inference Protocol (V2) over REST: health, metadata, readiness and `infer`, with tensors in JSON or bytes.

https://github.com/kserve/open-inference-protocol
"""

from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct

from penstock.core.errors import InvalidInputError, NotFoundError, PenstockError
from penstock.registry.format.types import Column
from penstock.serving.calls import Answer, Call
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.live import LiveDeployment, LiveRevision, RoutingTable
from penstock.serving.protocols.binary import CONTENT_TYPE, LENGTH_HEADER, read_binary, split_body, write_values
from penstock.serving.protocols.bodies import decode_body
from penstock.serving.protocols.protocol import answer_headers, error_headers, not_found
from penstock.serving.protocols.tensors import DATATYPES, InferRequest, Values, read_tensors, write_tensors


class _Path(Struct, frozen=True):
    """The parts of a path below /v2."""

    model: str = ""
    version: str = ""
    action: str = ""  # "", ready or infer


class OpenInferenceProtocol:
    """Open Inference V2."""

    def find_methods(self, path: str) -> tuple[str, ...]:
        """POST for `infer`, GET for all else below /v2."""
        if path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models"):
            return ("GET",)
        found = _split(path)
        if found is None:
            return ()
        return ("POST",) if found.action == "infer" else ("GET",)

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """Health and metadata."""
        if request.path == "/v2":
            return _json({"name": "penstock", "version": version("penstock"), "extensions": ["binary_tensor_data"]})
        if request.path == "/v2/health/live":
            return _json({"live": True})
        if request.path == "/v2/health/ready":
            ready = bool(table.deployments)
            return _json({"ready": ready}, 200 if ready else 503)
        if request.path == "/v2/models":
            return _json({"models": sorted(table.deployments)})
        path = _split(request.path)
        if path is None:
            raise not_found(request.path)
        live = table.get(path.model)
        revision = _find_revision(live, path.version)
        if path.action == "ready":
            return _json({"name": live.name, "ready": True})
        return _json(_describe(live, revision))

    def read(self, request: HttpRequest) -> Call:
        """An inference request."""
        path = _split(request.path)
        if path is None:
            raise not_found(request.path)
        asked, apart = _read_request(request)
        return Call(
            deployment=path.model,
            read_rows=lambda decoder: read_tensors(asked.inputs, decoder, apart),
            parameters=asked.parameters,
            version=_read_version(path.version) if path.version else None,
            caller_id=asked.id,
            context=asked,
        )

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """A tensor per output column."""
        asked: InferRequest = call.context
        route = answer.predictions[0].revision.route
        parameters: dict[str, Any] = {
            "prediction_ids": answer.ids,
            "revisions": [item.revision.route.number for item in answer.predictions],
        }
        if answer.has_fallback:
            parameters["statuses"] = [item.status for item in answer.predictions]
        columns = _wanted(answer.deployment.stable.model.signature.outputs, asked)
        tensors = write_tensors(columns, [item.output for item in answer.predictions])
        tail = _take_out(tensors, asked)
        body: dict[str, Any] = {
            "model_name": answer.deployment.name,
            "model_version": str(route.version),
            "parameters": parameters,
            "outputs": tensors,
        }
        if asked.id is not None:
            body["id"] = asked.id
        head = msgspec.json.encode(body)
        if not tail:
            return HttpAnswer(200, head, answer_headers(answer))
        headers = {**answer_headers(answer), LENGTH_HEADER: b"%d" % len(head)}
        return HttpAnswer(200, head + tail, headers, CONTENT_TYPE)

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """`{"error": text}`."""
        return HttpAnswer(error.http_status, msgspec.json.encode({"error": str(error)}), error_headers(error))


def _read_request(request: HttpRequest) -> tuple[InferRequest, list[Values | None]]:
    """The request, and those values that stand behind its JSON."""
    length = request.headers.get(LENGTH_HEADER)
    if length is None:
        return decode_body(request.body, InferRequest), []
    head, tail = split_body(request.body, length)
    asked = decode_body(head, InferRequest)
    return asked, read_binary(asked.inputs, tail)


def _take_out(tensors: list[dict[str, Any]], asked: InferRequest) -> bytes:
    """Move the values of those outputs that are wanted as bytes out of the tensors."""
    wanted = {output.name: output.parameters.binary_data for output in asked.outputs}
    tail = []
    for place, tensor in enumerate(tensors):
        as_bytes = wanted.get(tensor["name"])
        if asked.parameters.binary_data_output if as_bytes is None else as_bytes:
            tensors[place], raw = write_values(tensor)
            tail.append(raw)
    return b"".join(tail)


def _split(path: str) -> _Path | None:
    parts = path.split("/")
    if parts[:3] != ["", "v2", "models"] or len(parts) < 4:
        return None
    model, rest = parts[3], parts[4:]
    number = ""
    if rest[:1] == ["versions"] and len(rest) > 1:
        number, rest = rest[1], rest[2:]
    if rest in ([], ["ready"], ["infer"]):
        return _Path(model, number, rest[0] if rest else "")
    return None


def _read_version(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFoundError(f"there is no model version {text!r}", hint="versions are numbers")
    return int(text)


def _find_revision(live: LiveDeployment, text: str) -> LiveRevision:
    if not text:
        return live.stable
    found = live.find_version(_read_version(text))
    if found is None:
        raise NotFoundError(f"deployment {live.name!r} does not serve version {text} now")
    return found


def _describe(live: LiveDeployment, revision: LiveRevision) -> dict[str, Any]:
    held = [item for item in (live.stable, live.candidate) if item is not None]
    signature = revision.model.signature
    return {
        "name": live.name,
        "versions": sorted({str(item.route.version) for item in held}),
        "platform": "penstock",
        "inputs": [_describe_column(column) for column in signature.inputs],
        "outputs": [_describe_column(column) for column in signature.outputs],
    }


def _describe_column(column: Column) -> dict[str, Any]:
    shape = [-1, -1] if column.type.endswith("[]") else [-1]
    return {"name": column.name, "datatype": DATATYPES[column.type], "shape": shape}


def _wanted(columns: tuple[Column, ...], asked: InferRequest) -> list[Column]:
    if not asked.outputs:
        return list(columns)
    by_name = {column.name: column for column in columns}
    for place, output in enumerate(asked.outputs):
        if output.name not in by_name:
            raise InvalidInputError(
                f"the model has no output {output.name!r}",
                hint=f"it gives {', '.join(by_name)}",
                field=f"outputs[{place}].name",
            )
    return [by_name[output.name] for output in asked.outputs]


def _json(value: Any, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, msgspec.json.encode(value))

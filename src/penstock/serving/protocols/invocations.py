"""`/invocations`, `/ping`, `/health`, `/version` and `/execution-parameters`: MLflow's scoring server, and SageMaker's.

SageMaker's `Accept` decides the form of the answer: JSON, JSON Lines (a row each) or CSV (without a header line, as its
batch transform joins the answers of many requests into one file).
"""

import csv
import io
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from penstock.core.errors import InvalidInputError, NotFoundError, PenstockError
from penstock.serving.calls import Answer, Call, Parameters
from penstock.serving.http import (
    JSON,
    BadRequestError,
    HttpAnswer,
    HttpRequest,
    NotAcceptableError,
    UnsupportedMediaTypeError,
)
from penstock.serving.inputs import InputDecoder, Rows, dotted
from penstock.serving.live import RoutingTable
from penstock.serving.protocols.bodies import decode_body
from penstock.serving.protocols.protocol import (
    DEPLOYMENT_HEADER,
    answer_headers,
    describe,
    not_found,
    refuse_with_code,
)

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV = b"text/csv"
JSON_LINES = b"application/jsonlines"
_LINES = (JSON_LINES, b"application/x-jsonlines", b"application/jsonl", b"application/x-ndjson")
_KNOWN = "application/json, text/csv or application/jsonlines"


class Invocation(Struct, frozen=True):
    """A JSON body: exactly one of the four forms of data, and parameters."""

    dataframe_split: Raw | UnsetType = UNSET
    dataframe_records: Raw | UnsetType = UNSET
    instances: Raw | UnsetType = UNSET
    inputs: Raw | UnsetType = UNSET
    params: Parameters = Parameters()


class SplitFrame(Struct, frozen=True):
    """A frame as columns and rows of values."""

    columns: list[str]
    data: list[list[Any]]


class InvocationsProtocol:
    """MLflow's scoring protocol, which is also SageMaker's."""

    def find_methods(self, path: str) -> tuple[str, ...]:
        """POST at /invocations, GET at the others."""
        if path == "/invocations":
            return ("POST",)
        return ("GET",) if path in ("/ping", "/health", "/version", "/execution-parameters") else ()

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """200 when predictions can be made; what a batch transform may send."""
        if request.path == "/version":
            return HttpAnswer(200, version("penstock").encode(), content_type=b"text/plain; charset=utf-8")
        if request.path == "/execution-parameters":
            return HttpAnswer(200, msgspec.json.encode(_EXECUTION))
        if request.path not in ("/ping", "/health"):
            raise not_found(request.path)
        if not table.deployments:
            raise NotFoundError("no model is loaded yet", hint="'penstock run' trains and releases one")
        return HttpAnswer(200, b"\n", content_type=JSON)

    def read(self, request: HttpRequest) -> Call:
        """The data of a body, by its content type."""
        deployment = request.headers.get(DEPLOYMENT_HEADER, b"").decode("latin-1")
        accepted = _find_accepted(request.headers.get(b"accept", b""))
        body, kind = request.body, request.content_type
        if kind == CSV:
            return Call(deployment=deployment, read_rows=lambda decoder: _read_csv(body, decoder), context=accepted)
        if kind in _LINES:
            lines = _join_lines(body)
            return Call(
                deployment=deployment,
                read_rows=lambda decoder: decoder.read_json(lines, "rows", strict=False),
                context=accepted,
            )
        if kind != JSON:
            raise UnsupportedMediaTypeError(
                f"a body of type {kind.decode('latin-1')!r} is not read here", hint=f"send {_KNOWN}"
            )
        form, data, parameters = _find_form(body)
        return Call(
            deployment=deployment,
            read_rows=lambda decoder: _READERS[form](data, decoder),
            parameters=parameters,
            context=accepted,
        )

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """`{"predictions": [a row each]}`, with the ids beside them; or lines, where they were asked for."""
        outputs = [item.output for item in answer.predictions]
        if call.context == CSV:
            return HttpAnswer(200, _write_csv(outputs), answer_headers(answer), CSV + b"; charset=utf-8")
        if call.context == JSON_LINES:
            lines = b"".join(msgspec.json.encode(output) + b"\n" for output in outputs)
            return HttpAnswer(200, lines, answer_headers(answer), JSON_LINES)
        body = {"predictions": outputs, **describe(answer)}
        return HttpAnswer(200, msgspec.json.encode(body), answer_headers(answer))

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """Code, message, hint and field."""
        return refuse_with_code(error)


# What SageMaker's batch transform asks before it sends anything: how many requests at once, how many rows in each.
_EXECUTION = {"MaxConcurrentTransforms": 16, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}


def _find_accepted(header: bytes) -> bytes:
    """The form of the answer: the first that is known of those a client accepts, JSON when it names none.

    Raises:
        NotAcceptableError: it takes only what is not given here.
    """
    if not header:
        return JSON
    wanted = [part.partition(b";")[0].strip().lower() for part in header.split(b",") if part.strip()]
    for kind in wanted:
        if kind == CSV:
            return CSV
        if kind in _LINES:
            return JSON_LINES
        if kind in (JSON, b"*/*", b"application/*"):
            return JSON
    if not wanted:
        return JSON
    raise NotAcceptableError(
        f"the answer is not given as {b', '.join(wanted).decode('latin-1')}", hint=f"accept {_KNOWN}"
    )


def _join_lines(body: bytes) -> bytes:
    """JSON Lines as one JSON list."""
    return b"[" + b",".join(line for line in body.splitlines() if line.strip()) + b"]"


def _write_csv(outputs: Sequence[dict[str, Any]]) -> bytes:
    """A line for each row: its output columns in order; a column that holds a list is JSON."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    for output in outputs:
        writer.writerow(
            msgspec.json.encode(value).decode() if isinstance(value, (list, dict)) else value
            for value in output.values()
        )
    return target.getvalue().encode()


def _find_form(body: bytes) -> tuple[str, Raw, Parameters]:
    if body.lstrip()[:1] != b"{":
        decode_body(body, Raw)  # broken JSON is called that
        raise BadRequestError("the body has to be a JSON object", hint=f"with one of {', '.join(FORMS)}")
    asked = decode_body(body, Invocation)
    given = [form for form in FORMS if getattr(asked, form) is not UNSET]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise BadRequestError(f"the body has to hold exactly one of {', '.join(FORMS)}, and holds {found}")
    return given[0], getattr(asked, given[0]), asked.params


def _read_records(raw: Raw, decoder: InputDecoder) -> Rows:
    return decoder.read_json(raw, "dataframe_records", strict=False)


def _read_split(raw: Raw, decoder: InputDecoder) -> Rows:
    held = _decode(raw, SplitFrame, "dataframe_split")
    return _read_lists(held.columns, held.data, decoder, "dataframe_split.data")


def read_instances(raw: Raw, decoder: InputDecoder) -> Rows:
    """Rows as objects, or as lists in the order of the signature."""
    if _begins(raw, b"[["):
        return _read_json_lists(raw, decoder, "instances")
    return decoder.read_json(raw, "instances", strict=False)


def read_inputs(raw: Raw, decoder: InputDecoder) -> Rows:
    """Columns by name; or rows, as in `instances`."""
    if _begins(raw, b"[["):
        return _read_json_lists(raw, decoder, "inputs")
    if not _begins(raw, b"{"):
        return decoder.read_json(raw, "inputs", strict=False)
    columns = _decode(raw, dict[str, list[Any]], "inputs")
    count = max(map(len, columns.values()), default=0)
    for name, values in columns.items():
        if len(values) != count:
            raise InvalidInputError(
                f"inputs.{name}: {len(values)} values, and other columns have {count}", field=f"inputs.{name}"
            )
    rows = [{name: _unwrap(values[row]) for name, values in columns.items()} for row in range(count)]
    return decoder.read_values(
        rows, "inputs", lambda row, column: f"inputs.{column}[{row}]" if column in columns else f"inputs.{column}"
    )


_READERS = {
    "dataframe_split": _read_split,
    "dataframe_records": _read_records,
    "instances": read_instances,
    "inputs": read_inputs,
}


def _read_json_lists(raw: Raw, decoder: InputDecoder, prefix: str) -> Rows:
    """Rows of values in the order of the signature."""
    rows = decoder.read_json_lists(raw, prefix)
    if rows is not None:
        return rows
    return _read_lists(list(decoder.schema), _decode(raw, list[list[Any]], prefix), decoder, prefix)  # names the fault


def _read_lists(columns: list[str], data: list[list[Any]], decoder: InputDecoder, prefix: str) -> Rows:
    _check_widths(columns, data, prefix)
    if columns == list(decoder.schema):
        return decoder.read_lists(data, prefix, dotted(prefix))
    rows = [dict(zip(columns, values, strict=True)) for values in data]
    return decoder.read_values(rows, prefix, dotted(prefix))


def _check_widths(columns: list[str], data: Sequence[list[Any]], prefix: str) -> None:
    for row, values in enumerate(data):
        if len(values) != len(columns):
            raise InvalidInputError(
                f"{prefix}[{row}]: {len(values)} values for {len(columns)} columns", field=f"{prefix}[{row}]"
            )


def _read_csv(body: bytes, decoder: InputDecoder) -> Rows:
    """CSV with a header line."""
    try:
        table = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRequestError(f"the body is not valid CSV: {error}") from error
    if not table:
        raise BadRequestError("the body is empty", hint="send a header line and rows")
    header, rows = table[0], [line for line in table[1:] if line]
    _check_widths(header, rows, "rows")
    texts = {column.name for column in decoder.columns if column.type in ("string", "category") and column.required}
    named = [
        {name: value for name, value in zip(header, values, strict=True) if value or name in texts} for values in rows
    ]
    return decoder.read_values(named, "rows", dotted("rows"), texts=True)


def _decode(raw: Raw, kind: Any, prefix: str) -> Any:
    try:
        return decode_body(raw, kind)
    except InvalidInputError as error:
        field = prefix + ("" if not error.field or error.field.startswith("[") else ".") + error.field
        raise InvalidInputError(f"{prefix}: {error.message}", hint=error.hint, field=field) from error


def _begins(raw: Raw, mark: bytes) -> bool:
    return bytes(memoryview(raw)[:64]).translate(None, b" \t\r\n").startswith(mark)


def _unwrap(value: Any) -> Any:
    """A value, or a list of one: TensorFlow's column form gives either."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value

"""The page on which a deployment is tried: a form from the model's signature, and the gateway's answer to it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError, UnavailableError
from penstock.registry.format.golden import FILE, Golden
from penstock.registry.format.types import Column
from penstock.registry.types import ModelVersion
from penstock.server.web.context import LONGEST_NUMBER, PageContext
from penstock.server.web.sources.asking import Asked
from penstock.serving.types import Deployment

PREFIX = "column:"  # of the fields of the form that are columns
ROW = "rows[0]."  # what the gateway calls the row
LARGEST_SAMPLE = 4_000_000  # bytes of golden predictions that are read for a first row
ABOUT = ("id", "revision", "version", "status")  # beside the output's columns


class Entry(Struct, frozen=True, kw_only=True):
    """One input of the form."""

    column: Column
    name: str
    kind: str  # text, decimal, choice, date or datetime-local
    value: str
    problem: str = ""  # what the gateway said of it


class Output(Struct, frozen=True):
    """One column of an answer."""

    name: str
    value: Any


def show_try(context: PageContext, request: Request) -> Response:
    """The form, filled with a row that the model is known to answer."""
    deployment, version = _find(context, request)
    return _show(context, request, deployment, version, _read_sample(context, version))


def try_row(context: PageContext, request: Request, form: Mapping[str, str]) -> Response:
    """What the gateway answers to the row in the form; what it does not like stands beside its column."""
    deployment, version = _find(context, request)
    texts = {column.name: form.get(PREFIX + column.name, "") for column in version.signature.inputs}
    row = read_row(version.signature.inputs, texts)
    wanted = form.get("version", "")
    try:
        asked = context.gateway.ask(deployment.name, row, int(wanted) if _is_number(wanted) else None)
    except UnavailableError as error:
        asked = Asked(message=error.message, hint=error.hint)
    return _show(context, request, deployment, version, texts, asked, wanted)


def read_row(columns: tuple[Column, ...], texts: Mapping[str, str]) -> dict[str, Any]:
    """The row that texts of a form mean; what is no value of its type stays text, for the gateway to judge."""
    return {
        column.name: _READERS.get(column.type, str)(texts[column.name])
        for column in columns
        if texts[column.name] != "" or (column.required and column.type in ("string", "category"))
    }


def write_value(column: Column, value: Any) -> str:
    """A value as it stands in the form."""
    if value is None:
        return ""
    if column.type == "boolean":
        return "true" if value else "false"
    if column.type == "datetime":
        return str(value)[:19].replace(" ", "T")
    return str(value)


def _show(
    context: PageContext,
    request: Request,
    deployment: Deployment,
    version: ModelVersion,
    texts: Mapping[str, str],
    asked: Asked | None = None,
    wanted: str = "",
) -> Response:
    entries = [_make_entry(column, texts.get(column.name, ""), asked) for column in version.signature.inputs]
    prediction = asked.prediction if asked else {}
    is_placed = any(entry.problem for entry in entries)
    return context.renderer.page(
        request,
        "try.html",
        title=f"Try {deployment.name}",
        is_live=False,  # what was written and answered stays as it is
        status=422 if asked and asked.message else 200,
        deployment=deployment,
        version=version,
        entries=entries,
        asked=asked,
        is_placed=is_placed,
        wanted=wanted,
        outputs=[Output(name, value) for name, value in prediction.items() if name not in ABOUT],
        prediction=prediction,
    )


def _make_entry(column: Column, value: str, asked: Asked | None) -> Entry:
    kinds = {"double": "decimal", "long": "decimal", "boolean": "choice", "date": "date", "datetime": "datetime-local"}
    is_meant = asked is not None and asked.field == ROW + column.name
    return Entry(
        column=column,
        name=PREFIX + column.name,
        kind=kinds.get(column.type, "text"),
        value=value,
        problem=asked.message if asked and is_meant else "",
    )


def _find(context: PageContext, request: Request) -> tuple[Deployment, ModelVersion]:
    deployment = context.services.serving.get_deployment(request.path_params["deployment"])
    if deployment.stable is None:
        raise ConflictError(f"nothing answers at {deployment.name!r} yet", hint="deploy a version first")
    held = deployment.stable
    return deployment, context.services.registry.get_version(held.model, held.version)


def _read_sample(context: PageContext, version: ModelVersion) -> dict[str, str]:
    """The first of the rows that are kept with the version; nothing where none is."""
    if version.tree is None:
        return {}
    objects = context.services.objects
    entry = next((entry for path, entry in objects.list_files(version.tree) if path == FILE.as_posix()), None)
    if entry is None or entry.size > LARGEST_SAMPLE:
        return {}
    try:
        golden = codec.decode(objects.get_bytes(entry.digest), Golden)
    except InvalidInputError:
        return {}
    return {
        column.name: write_value(column, golden.inputs[column.name][0])
        for column in version.signature.inputs
        if golden.inputs.get(column.name)
    }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER


def _read_double(text: str) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _read_long(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return _read_double(text)


def _read_boolean(text: str) -> Any:
    return {"true": True, "false": False}.get(text, text)


def _read_datetime(text: str) -> str:
    """Browsers leave out the seconds where they are zero."""
    return f"{text}:00" if len(text) == len("2026-01-01T12:00") else text


_READERS: dict[str, Callable[[str], Any]] = {
    "double": _read_double,
    "long": _read_long,
    "boolean": _read_boolean,
    "datetime": _read_datetime,
}

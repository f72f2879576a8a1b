"""The OpenAPI page, made from the same table as the routes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.routes import Route
from penstock.storage.verbs import verb_of

_REFERENCE = "#/components/schemas/{name}"


def openapi_document(routes: Mapping[str, list[Route]], version: str) -> dict[str, Any]:
    """OpenAPI 3.1 for every route below `/api/v1`."""
    verbs = [verb_of(route) for table in routes.values() for route in table]
    fields = [field.type for verb in verbs for field in msgspec.structs.fields(verb.arguments)]
    _, components = msgspec.json.schema_components(
        [*(verb.returns for verb in verbs), *fields], ref_template=_REFERENCE
    )
    paths: dict[str, dict[str, Any]] = {}
    for name, table in routes.items():
        for route in table:
            path = "/api/v1" + route.path.replace(":path}", "}")
            paths.setdefault(path, {})[route.method.lower()] = _operation(name, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "penstock", "version": version, "description": "The life of a model as one loop."},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(service: str, route: Route) -> dict[str, Any]:
    verb = verb_of(route)
    fields = msgspec.structs.fields(verb.arguments)
    in_path = [field for field in fields if field.name in route.path_parameters]
    others = [field for field in fields if field.name not in route.path_parameters]
    summary, _, description = verb.doc.partition("\n")
    operation: dict[str, Any] = {
        "operationId": f"{service}.{verb.name}",
        "tags": [service],
        "summary": summary,
        "description": description.strip(),
        "x-needs-role": route.needs.name.lower(),
        "parameters": [_parameter(field, "path") for field in in_path],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": _schema(verb.returns)}}},
            "default": {"description": "An error: error_code, message, and where known hint and field."},
        },
    }
    if route.method == "GET":
        operation["parameters"] += [_parameter(field, "query") for field in others]
    elif others:
        body = {
            "type": "object",
            "properties": {field.name: _schema(field.type) for field in others},
            "required": [field.name for field in others if field.required],
            "additionalProperties": False,
        }
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return operation


def _parameter(field: msgspec.structs.FieldInfo, place: str) -> dict[str, Any]:
    required = place == "path" or field.required
    return {"name": field.name, "in": place, "required": required, "schema": _schema(field.type)}


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    return schema

"""The OpenAPI page, made from the same table as the routes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.routes import Route
from penstock.storage.verbs import verb_of

_REFERENCE = "#/components/schemas/{name}"


Schema = dict[str, Any]
Schemas = Mapping[tuple[str, str], Schema]  # by verb (noun.name) and field; the answer's field is empty


def openapi_document(routes: Mapping[str, list[Route]], version: str) -> dict[str, Any]:
    """OpenAPI 3.1 for every route below `/api/v1`."""
    schemas, components = _make_schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for name, table in routes.items():
        for route in table:
            path = "/api/v1" + route.path.replace(":path}", "}")
            paths.setdefault(path, {})[route.method.lower()] = _operation(name, route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "penstock", "version": version, "description": "The life of a model as one loop."},
        "paths": paths,
        "components": {"schemas": components},
    }


def _make_schemas(routes: Mapping[str, list[Route]]) -> tuple[Schemas, dict[str, Schema]]:
    """The schemas of all types in one go: only then do two types of the same name get names of their own."""
    kinds: dict[tuple[str, str], Any] = {}
    for name, table in routes.items():
        for route in table:
            verb = verb_of(route)
            kinds[_key(name, verb.name)] = verb.returns
            for field in msgspec.structs.fields(verb.arguments):
                kinds[_key(name, verb.name, field.name)] = field.type
    made, components = msgspec.json.schema_components(kinds.values(), ref_template=_REFERENCE)
    return dict(zip(kinds, made, strict=True)), components


def _key(service: str, verb: str, field: str = "") -> tuple[str, str]:
    return f"{service}.{verb}", field


def _operation(service: str, route: Route, schemas: Schemas) -> dict[str, Any]:
    verb = verb_of(route)
    fields = msgspec.structs.fields(verb.arguments)
    in_path = [field for field in fields if field.name in route.path_parameters]
    others = [field for field in fields if field.name not in route.path_parameters]
    own = {field.name: schemas[_key(service, verb.name, field.name)] for field in fields}
    answer = schemas[_key(service, verb.name)]
    summary, _, description = verb.doc.partition("\n")
    operation: dict[str, Any] = {
        "operationId": f"{service}.{verb.name}",
        "tags": [service],
        "summary": summary,
        "description": description.strip(),
        "x-needs-role": route.needs.name.lower(),
        "parameters": [_parameter(field, "path", own) for field in in_path],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": answer}}},
            "default": {"description": "An error: error_code, message, and where known hint and field."},
        },
    }
    if route.method == "GET":
        operation["parameters"] += [_parameter(field, "query", own) for field in others]
    elif others:
        body = {
            "type": "object",
            "properties": {field.name: own[field.name] for field in others},
            "required": [field.name for field in others if field.required],
            "additionalProperties": False,
        }
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return operation


def _parameter(field: msgspec.structs.FieldInfo, place: str, schemas: Mapping[str, Schema]) -> Schema:
    required = place == "path" or field.required
    return {"name": field.name, "in": place, "required": required, "schema": schemas[field.name]}

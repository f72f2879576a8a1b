"""The OpenAPI document: every route is in it, once, and all that it refers to is there."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from penstock.catalogue.services import ROUTES
from penstock.core.identity import Role
from penstock.server.openapi import openapi_document
from penstock.storage.verbs import verb_of

ALL = [(noun, route) for noun, routes in ROUTES.items() for route in routes]


@pytest.fixture(scope="module")
def document(empty_url: str) -> dict[str, Any]:
    answer = httpx.get(f"{empty_url}/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()  # type: ignore[no-any-return]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    return [(path, method, found) for path, held in document["paths"].items() for method, found in held.items()]


def test_every_route_is_an_operation(document: dict[str, Any]) -> None:
    wanted = {("/api/v1" + route.path.replace(":path}", "}"), route.method.lower()) for _, route in ALL}
    assert len(wanted) == len(ALL)
    assert {(path, method) for path, method, _ in operations(document)} == wanted


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(names) == sorted(set(names))
    assert set(names) == {f"{noun}.{route.verb.name}" for noun, route in ALL}


def test_all_that_is_referred_to_is_there(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    used = {held["$ref"] for held in walk(document) if "$ref" in held}
    assert used
    assert used - known == set()


def test_parameters_are_those_of_the_path_and_of_the_verb(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        in_path = {held["name"] for held in operation["parameters"] if held["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path)), path
        assert all(held["required"] for held in operation["parameters"] if held["in"] == "path")
        names = [held["name"] for held in operation["parameters"]]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        assert method != "get" or not body, path
        assert len(names) == len(set(names)), path
        assert not in_path & body.get("properties", {}).keys(), path


def test_every_argument_of_a_verb_can_be_given(document: dict[str, Any]) -> None:
    by_name = {operation["operationId"]: operation for _, _, operation in operations(document)}
    for noun, route in ALL:
        operation = by_name[f"{noun}.{route.verb.name}"]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        given = {held["name"] for held in operation["parameters"]} | body.get("properties", {}).keys()
        assert given == set(verb_of(route).arguments.__struct_fields__), route.path


def test_every_operation_says_what_it_does_answers_and_needs(document: dict[str, Any]) -> None:
    roles = {role.name.lower() for role in Role}
    for path, _, operation in operations(document):
        assert operation["summary"], path
        assert operation["x-needs-role"] in roles
        assert "schema" in operation["responses"]["200"]["content"]["application/json"], path


def test_the_document_does_not_depend_on_the_order_of_things() -> None:
    assert openapi_document(ROUTES, "1.0") == openapi_document(dict(reversed(ROUTES.items())), "1.0")


def test_looking_needs_a_reader_and_changing_needs_more() -> None:
    for _, route in ALL:
        assert route.needs >= (Role.READER if verb_of(route).is_read else Role.CONTRIBUTOR), route.path
        assert verb_of(route).is_read or route.method != "GET", route.path


def test_types_of_the_same_name_are_told_apart(document: dict[str, Any]) -> None:
    names = [name for name in document["components"]["schemas"] if name.endswith("Comparison")]
    assert len(names) == 2  # of runs, and of two models on the same rows

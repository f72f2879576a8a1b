"""Every field of every route gets what its type does not foresee."""

import contextlib
import json
from typing import Any
from urllib.parse import quote

import pytest

from hostile.attacks import Attacker
from hostile.sampling import Sample
from hostile.shapes import ALL, body_fields, body_of, name_of, path_of, path_values, places, put, readers_beside
from hostile.values import LITERALS, QUERY, values_for
from hostile.world import World
from penstock.core import codec
from penstock.core.errors import PenstockError
from penstock.core.routes import Route
from penstock.evaluation.types import Report, Verdict, seal

WRITES = [route for route in ALL if route.method != "GET"]
READS = [route for route in ALL if route.method == "GET"]
MOST_PLACES = 30
_MARK = "\uffff mark"


@pytest.mark.parametrize("route", ALL, ids=name_of)
def test_a_well_formed_request_is_answered(route: Route, world: World, attacker: Attacker) -> None:
    path = path_of(route, path_values(route, world))
    if route.method == "GET":
        attacker.attack("GET", path)
    else:
        attacker.attack(route.method, path, body_of(route, world))


@pytest.mark.sampled
@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_no_value_in_any_field_breaks_the_server(
    route: Route, world: World, attacker: Attacker, sample: Sample
) -> None:
    path, body = path_of(route, path_values(route, world)), body_of(route, world)
    attacker.readers = readers_beside(route, world)
    for at, held in list(places(body))[:MOST_PLACES]:
        for value in sample.of(values_for(held)):
            attacker.attack(route.method, path, put(body, at, value), case=f"at {at}")


@pytest.mark.sampled
@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_no_literal_that_json_lacks_is_taken(route: Route, world: World, attacker: Attacker, sample: Sample) -> None:
    path, body = path_of(route, path_values(route, world)), body_of(route, world)
    for at, _ in list(places(body))[:4]:
        marked = json.dumps(put(body, at, _MARK))
        for literal in sample.of(LITERALS):
            attacker.attack(route.method, path, marked.replace(json.dumps(_MARK), literal).encode(), refused=True)


@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_a_missing_or_unknown_field_is_named(route: Route, world: World, attacker: Attacker) -> None:
    path, body = path_of(route, path_values(route, world)), body_of(route, world)
    reply = attacker.attack(route.method, path, body | {"surprise": 1}, refused=True)
    assert reply is not None and "surprise" in json.loads(reply.body)["message"]
    for field in body_fields(route):
        without = {name: value for name, value in body.items() if name != field.name}
        reply = attacker.attack(route.method, path, without, refused=field.required)
        if field.required:
            assert reply is not None and field.name in json.loads(reply.body)["message"]


@pytest.mark.sampled
@pytest.mark.parametrize("route", READS, ids=name_of)
def test_no_query_breaks_the_server(route: Route, world: World, attacker: Attacker, sample: Sample) -> None:
    path = path_of(route, path_values(route, world))
    attacker.attack("GET", f"{path}?surprise=1", refused=True)
    for field in body_fields(route):
        for value in sample.of(QUERY):
            attacker.attack("GET", f"{path}?{field.name}={value}")
        attacker.attack("GET", f"{path}?{field.name}=1&{field.name}=x")
        attacker.attack("GET", f"{path}?{field.name}")
        attacker.attack("GET", f"{path}?{field.name}[]=1", refused=True)


PLACES = [
    {"key": "loss", "value": 1, "step": 10**30, "at": "2024-05-01T00:00:00Z"},
    {"key": "loss", "value": 1},
    {"key": "loss", "value": 1, "at": "2024-05-01T00:00:00"},
    {"key": "loss", "value": "NaN", "step": -(2**63), "at": "0001-01-01T00:00:00+14:00"},
    [1, 2],
    "x",
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_forged_page_token_breaks_the_server(place: Any, world: World, attacker: Attacker) -> None:
    token = quote(json.dumps(place))
    attacker.attack("GET", f"/api/v1/runs/{world.names['run_id']}/metrics/loss?after={token}")


SEALED = [(Report, "report", "/api/v1/reports"), (Verdict, "verdict", "/api/v1/verdicts")]


@pytest.mark.sampled
@pytest.mark.parametrize(("kind", "name", "path"), SEALED, ids=["report", "verdict"])
def test_a_digest_of_its_own_lets_no_record_in(
    kind: Any, name: str, path: str, world: World, attacker: Attacker, sample: Sample
) -> None:
    """A caller who can compute the digest of a report gets past that check, and meets the others."""
    route = next(route for route in WRITES if path.endswith(route.path))
    attacker.readers = readers_beside(route, world)
    body = body_of(route, world)
    for at, held in list(places(body))[:60]:
        for value in sample.of(values_for(held)):
            with contextlib.suppress(PenstockError):
                record = seal(codec.convert(put(body, at, value)[name], kind))
                attacker.attack("POST", path, codec.encode({name: record}), case=f"at {at}")

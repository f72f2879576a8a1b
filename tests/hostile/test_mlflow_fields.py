"""Every field of every operation of MLflow's protocol gets what its type does not foresee."""

import json
from typing import Any

import pytest
from msgspec import structs

from hostile.attacks import Attacker
from hostile.mlflow_shapes import (
    ASKED,
    POSTED,
    READING,
    body_of,
    encode,
    fields_named,
    name_of,
    path_of,
    record_of,
    send,
)
from hostile.sampling import Sample
from hostile.shapes import places, put
from hostile.values import LITERALS, QUERY, values_for
from hostile.world import World
from penstock.server.protocols.mlflow.endpoint import Endpoint

MOST_PLACES = 16
_MARK = "\uffff mark"


@pytest.mark.parametrize("endpoint", READING, ids=name_of)
def test_a_well_formed_request_is_answered(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    send(attacker, endpoint, world, body_of(endpoint, world))


@pytest.mark.sampled
@pytest.mark.parametrize("endpoint", POSTED, ids=name_of)
def test_no_value_in_any_field_breaks_the_server(
    endpoint: Endpoint, world: World, attacker: Attacker, sample: Sample
) -> None:
    body = body_of(endpoint, world)
    for at, held in list(places(body))[:MOST_PLACES]:
        for value in sample.of(values_for(held)):
            send(attacker, endpoint, world, put(body, at, value), case=f"at {at}")


@pytest.mark.sampled
@pytest.mark.parametrize("endpoint", POSTED, ids=name_of)
def test_no_literal_that_json_lacks_is_taken(
    endpoint: Endpoint, world: World, attacker: Attacker, sample: Sample
) -> None:
    body = body_of(endpoint, world)
    for at, _ in list(places(body))[:6]:
        marked = json.dumps(put(body, at, _MARK))
        for literal in sample.of(LITERALS):
            bad = marked.replace(json.dumps(_MARK), literal).encode()
            send(attacker, endpoint, world, bad, refused=True, case=f"{literal} at {at}")


@pytest.mark.parametrize("endpoint", POSTED, ids=name_of)
def test_each_field_may_be_missing_or_null_or_unknown(endpoint: Endpoint, world: World, attacker: Attacker) -> None:
    """Clients of other versions leave fields out and send others; a parameter that is needed is named."""
    body = body_of(endpoint, world)
    send(attacker, endpoint, world, body | {"surprise": {"a": [1]}})
    for name in body:
        send(attacker, endpoint, world, {key: value for key, value in body.items() if key != name})
        send(attacker, endpoint, world, body | {name: None})
    kind = record_of(endpoint)
    assert kind is not None
    if any(field.required for field in structs.fields(kind) if field.encode_name in body):
        reply = send(attacker, endpoint, world, {}, refused=True)
        assert reply is not None
        assert endpoint.method == "HEAD" or "Missing value for required parameter" in json.loads(reply.body)["message"]


@pytest.mark.sampled
@pytest.mark.parametrize("endpoint", POSTED, ids=name_of)
def test_no_size_breaks_the_server(endpoint: Endpoint, world: World, attacker: Attacker, sample: Sample) -> None:
    body = body_of(endpoint, world)
    for at, held in sample.of(list(places(body))[:MOST_PLACES]):
        if isinstance(held, list):
            send(attacker, endpoint, world, put(body, at, held * 3_000), case=f"3000 at {at}")
        elif isinstance(held, str):
            send(attacker, endpoint, world, put(body, at, "n" * 1_000_000), case=f"a megabyte at {at}")


@pytest.mark.sampled
@pytest.mark.parametrize("endpoint", ASKED, ids=name_of)
def test_no_query_breaks_the_server(endpoint: Endpoint, world: World, attacker: Attacker, sample: Sample) -> None:
    path, body = path_of(endpoint, world), body_of(endpoint, world)
    kind = record_of(endpoint)
    assert kind is not None
    for name in [field.encode_name for field in structs.fields(kind)]:
        others = "&".join(
            f"{key}={value}" for key, value in body.items() if key != name and not isinstance(value, list)
        )
        for value in sample.of(QUERY):
            attacker.attack("GET", f"{path}?{others}&{name}={value}", case=name)
        for odd in (f"{name}=1&{name}=x", name, f"{name}[]=1", f"{name}%00=1", f"&&=&{name}=;"):
            attacker.attack("GET", f"{path}?{others}&{odd}", case=name)


FILTERS = [
    "'",
    '"',
    "`",
    "metrics.",
    "metrics.a",
    "metrics.a >",
    "metrics.a > 'x'",
    "metrics.a > 1e999",
    "metrics.a > -1e999",
    "metrics.a > " + "9" * 400,
    "metrics.a > NaN",
    "metrics.`a > 1",
    "params.a = 1",
    "params.a = 'b' OR 1=1",
    "params.a = 'b'; DROP TABLE runs; --",
    "params.a = '' UNION SELECT * FROM tokens --",
    "params.a LIKE '%" + "_%" * 5_000 + "'",
    "params.a ILIKE '%\\'",
    "tags.`" + "k" * 5_000 + "` = 'x'",
    "tags.'a\0b' = 'x'",
    "tags.a = '\ud83d\ude00'",
    "attributes.nothing = 1",
    "attribute.start_time > 99999999999999999999999",
    "attributes.run_id IN ()",
    "attributes.run_id IN ('a'",
    "attributes.run_id IN ('" + "','".join(map(str, range(3_000))) + "')",
    "nothing.a = 1",
    "a = b = c",
    "AND",
    "name = 'a' AND AND name = 'b'",
    " AND ".join(["name = 'a'"] * 2_000),
    "((((((((((name = 'a'))))))))))",
    "(" * 10_000,
    "name = 'a' -- b",
    "name /**/ = 'a'",
    "𝒳 = 'é'",
    "%s = '%s'",
    "{} = {0.__class__}",
    "datasets.name = 'x'",
    "1 = 1",
    "=",
    "x" * 100_000,
]
ORDERS = ["", "metrics.", "a DESC DESC", "nothing.a", "start_time; DROP TABLE runs", "`", "metrics.`a` SIDEWAYS", "1"]
ORDERS += ["(SELECT 1)", "x" * 50_000, "metrics.a\0 DESC", "attributes.start_time ASC, run_id"]
TOKENS = ["x", "AAAA", "e30=", "bnVsbA==", "eyJvZmZzZXQiOiAtMX0=", "eyJvZmZzZXQiOiAxZTk5OX0=", "%00", "=" * 100, "W10="]
TOKENS += [
    "eyJvZmZzZXQiOiA5OTk5OTk5OTk5OTk5OTk5OTk5OTk5fQ==",
    "eyJvZmZzZXQiOiAiJyBPUiAxPTEifQ==",
    "/w==",
    "x" * 50_000,
    "é",
]
COUNTS: list[Any] = [0, -1, -(2**31), 2**31, 2**63, 10**30, 1.5, "10", "ten", None, True, [], 50_001]
SEARCHES = [endpoint for endpoint in READING if fields_named(endpoint, ("filter", "filter_string"))]
ORDERED = [endpoint for endpoint in READING if fields_named(endpoint, ("order_by",))]
PAGED = [endpoint for endpoint in READING if fields_named(endpoint, ("page_token", "max_results"))]


@pytest.mark.sampled
@pytest.mark.parametrize("endpoint", SEARCHES, ids=name_of)
def test_no_filter_breaks_the_server(endpoint: Endpoint, world: World, attacker: Attacker, sample: Sample) -> None:
    body = body_of(endpoint, world)
    for name in fields_named(endpoint, ("filter", "filter_string")):
        for text in sample.of(FILTERS):
            _send_text(attacker, endpoint, world, body | {name: text}, text)


@pytest.mark.sampled
@pytest.mark.parametrize("endpoint", ORDERED, ids=name_of)
def test_no_order_breaks_the_server(endpoint: Endpoint, world: World, attacker: Attacker, sample: Sample) -> None:
    body = body_of(endpoint, world)
    for text in sample.of(ORDERS):
        _send_text(attacker, endpoint, world, body | {"order_by": [text]}, text)
    _send_text(attacker, endpoint, world, body | {"order_by": ["metrics.a"] * 2_000}, "many")


@pytest.mark.sampled
@pytest.mark.parametrize("endpoint", PAGED, ids=name_of)
def test_no_made_up_page_breaks_the_server(
    endpoint: Endpoint, world: World, attacker: Attacker, sample: Sample
) -> None:
    body = body_of(endpoint, world)
    for token in sample.of(TOKENS) if fields_named(endpoint, ("page_token",)) else []:
        _send_text(attacker, endpoint, world, body | {"page_token": token}, token)
    for count in sample.of(COUNTS) if fields_named(endpoint, ("max_results",)) else []:
        send(attacker, endpoint, world, body | {"max_results": count}, case=repr(count))


def _send_text(attacker: Attacker, endpoint: Endpoint, world: World, body: dict[str, Any], case: str) -> None:
    if endpoint.method == "GET" and len(case) > 10_000:
        return  # longer than any URL
    is_json = endpoint.method != "GET"
    send(attacker, endpoint, world, encode(body) if is_json else body, case=case[:40])

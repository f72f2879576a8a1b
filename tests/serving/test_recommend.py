"""`POST /recommend/NAME`: an entity in, ranked items out, with what the business wants."""

import msgspec
import pytest

from penstock.core.project.types import AtMostPerSection, RulesSection
from serving.gateways import GatewayUnderTest
from serving.models import Backend, make_ranking


@pytest.fixture
def shop(gateway: GatewayUnderTest, backend: Backend) -> GatewayUnderTest:
    """A shop whose model knows its items."""
    version = backend.register(make_ranking(knows_items=True), "shop", "ranking")
    backend.serving.deploy("shop", "shop", version.version)
    gateway.loop.step()
    return gateway


def test_an_entity_gets_ranked_items(shop: GatewayUnderTest) -> None:
    reply = shop.post("/recommend/shop", {"entity": {"user": "u1", "recent": "item7"}, "k": 3})
    assert reply.status_code == 200
    body = reply.json()
    assert [(row["position"], row["item"]) for row in body["items"]] == [(1, "item7"), (2, "item0"), (3, "item1")]
    assert body["items"][0]["score"] == pytest.approx(1.0 + 0.5 - 7 * 0.4 / 39)
    assert (body["status"], body["rules"], body["version"], body["propensity"]) == ("ok", [], 2, 1.0)
    assert body["id"] == reply.headers["x-penstock-prediction-id"]
    logged = shop.logged("shop").row(-1, named=True)
    assert (logged["id"], logged["key"]) == (body["id"], "u1")
    assert msgspec.json.decode(logged["output"])["items"] == ["item7", "item0", "item1"]


def test_an_unknown_entity_gets_popular_items(shop: GatewayUnderTest) -> None:
    body = shop.post("/recommend/shop", {"entity": "nobody", "k": 2}).json()
    assert [row["item"] for row in body["items"]] == ["item0", "item1"]


def test_items_are_filtered(shop: GatewayUnderTest) -> None:
    asked = {"category": "books", "price": {"at_most": 5}}
    body = shop.post("/recommend/shop", {"entity": "u", "filter": asked}).json()
    assert [row["item"] for row in body["items"]] == ["item1", "item3", "item5"]
    (row,) = shop.predict("shop", {"rows": [{"user": "u", "recent": ""}], "filter": asked, "k": 1})
    assert row["items"] == ["item1"]
    tensors = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [""]} for name in ("user", "recent")]
    reply = shop.post("/v2/models/shop/infer", {"inputs": tensors, "parameters": {"filter": asked, "k": 2}})
    assert reply.json()["outputs"][0]["data"] == ["item1", "item3"]


def test_rules_hold_for_every_protocol_and_the_answer_says_which(shop: GatewayUnderTest, backend: Backend) -> None:
    rules = RulesSection(
        pin=("item30",),
        block=("item0",),
        bury=({"category": "games"},),
        at_most_per=AtMostPerSection(column="category", count=2),
    )
    backend.serving.deploy("shop", "shop", 1)
    backend.serving.deploy("shop", "shop", 2, rules=rules)
    shop.loop.step()
    body = shop.post("/recommend/shop", {"entity": "u", "k": 4}).json()
    assert [row["item"] for row in body["items"]] == ["item30", "item1", "item3", "item2"]
    assert body["rules"] == ["pin", "bury", "block", "at_most_per"]
    (row,) = shop.predict("shop", {"rows": [{"user": "u", "recent": ""}], "k": 2})
    assert (row["items"], row["rules"]) == (["item30", "item1"], ["pin"])  # either of the others would do
    assert shop.logged("shop")["output"][-1].startswith('{"items":["item30","item1"]')


def test_a_candidate_that_knows_no_items_does_not_get_by_rules(shop: GatewayUnderTest, backend: Backend) -> None:
    rules = RulesSection(block=({"category": "games"},))
    backend.serving.deploy("shop", "shop", 1, strategy="canary", steps=(0.9,), rules=rules)
    shop.loop.step()
    (failure,) = backend.serving.list_gateways()[0].failures
    assert "this model has no table of items" in failure.problem
    body = shop.post("/recommend/shop", {"entity": "u", "k": 1}).json()
    assert (body["items"][0]["item"], body["revision"]) == ("item1", 2)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 422, "entity"),
        ({"entity": ["u"]}, 422, "entity"),
        ({"entity": {"usr": "u"}}, 422, "entity.usr: the model knows no such column"),
        ({"entity": {"user": 7}}, 422, "entity.user"),
        ({"entity": "u", "filter": {"colour": "red"}}, 422, "filter.colour: the table of items has no column"),
        ({"entity": "u", "filter": {"price": "cheap"}}, 422, "do not fit"),
        ({"entity": "u", "filter": {}}, 422, "a condition names columns"),
        ({"entity": "u", "k": 0}, 422, "k"),
        ({"entity": "u", "version": 9}, 404, "does not serve version 9"),
        ({"entity": "u", "what": 9}, 422, "what"),
    ],
)
def test_a_bad_request_is_named(shop: GatewayUnderTest, body: object, status: int, told: str) -> None:
    reply = shop.post("/recommend/shop", body)
    assert (reply.status_code, told in reply.text) == (status, True), reply.text


def test_only_lists_are_recommended(shop: GatewayUnderTest) -> None:
    reply = shop.post("/recommend/churn", {"entity": "u"})
    assert reply.status_code == 422
    assert "its task is binary" in reply.json()["message"]
    assert shop.client.get("/recommend/shop").status_code == 405

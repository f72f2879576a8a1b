"""What the gateway does with traffic: chooses revisions, falls back, logs, and swaps without a failed request."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import failpoints
from penstock.core.clock import ManualClock
from penstock.core.project.types import Task
from penstock.predictions.frames import unpack_json
from penstock.registry.format.signature import infer_columns
from penstock.registry.format.types import Signature
from penstock.serving.gateway import GatewayLimits
from penstock.serving.live import LiveDeployment, LiveRevision, RoutingTable, place_key
from penstock.serving.types import DeploymentRoute, RevisionRoute
from serving.gateways import GatewayUnderTest
from serving.models import ITEMS, LOGISTIC_SAMPLE, Backend, make_ranking

YOUNG = {"age": 20.0, "visits": 1}


def ask_shop(gateway: GatewayUnderTest, user: str = "u1", recent: str = "", **parameters: Any) -> dict[str, Any]:
    (row,) = gateway.predict("shop", {"rows": [{"user": user, "recent": recent}], **parameters})
    return row


def test_suggestions_are_cut_to_k_and_twenty_by_default(gateway: GatewayUnderTest) -> None:
    row = ask_shop(gateway, recent="item30 item31")
    assert len(row["items"]) == len(row["scores"]) == 20
    assert row["items"][:3] == ["item30", "item31", "item0"]
    assert row["scores"] == sorted(row["scores"], reverse=True)
    assert ask_shop(gateway, k=3)["items"] == ["item0", "item1", "item2"]


@pytest.mark.parametrize("exclude", [["item0", "item2"], "item0 item2"])
def test_what_is_out_of_stock_is_replaced_by_the_next_best(gateway: GatewayUnderTest, exclude: Any) -> None:
    row = ask_shop(gateway, recent="item2", k=3, exclude=exclude)
    assert row["items"] == ["item1", "item3", "item4"]
    assert len(row["scores"]) == 3


def test_k_items_remain_where_there_are_as_many(gateway: GatewayUnderTest) -> None:
    assert len(ask_shop(gateway, k=20, exclude=ITEMS[:20])["items"]) == 20
    assert ask_shop(gateway, k=20, exclude=ITEMS)["items"] == []


def test_lists_of_unequal_length_are_filled_up_as_tensors(gateway: GatewayUnderTest) -> None:
    inputs = [
        {"name": "user", "shape": [1], "datatype": "BYTES", "data": ["u1"]},
        {"name": "recent", "shape": [1], "datatype": "BYTES", "data": [""]},
    ]
    parameters = {"k": 30, "exclude": " ".join(ITEMS[:35])}
    body = gateway.post("/v2/models/shop/infer", {"inputs": inputs, "parameters": parameters}).json()
    assert body["outputs"][0]["shape"] == [1, 5]


def test_every_prediction_is_logged_as_it_was_answered(gateway: GatewayUnderTest) -> None:
    first = ask_shop(gateway, "u7", "item3", k=2, time="2026-03-02T10:00:00+01:00")
    second = gateway.predict("churn", [YOUNG, {"age": 70, "visits": 2}])
    shop, churn = gateway.logged("shop"), gateway.logged("churn")
    row = shop.row(0, named=True)
    assert (row["id"], row["revision"], row["key"], row["status"]) == (first["id"], 1, "u7", "ok")
    assert row["at"] == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert unpack_json(shop, "inputs").to_dicts() == [{"user": "u7", "recent": "item3"}]
    assert unpack_json(shop, "output")["items"].to_list() == [first["items"]]
    assert churn["id"].to_list() == [item["id"] for item in second]
    assert unpack_json(churn, "output")["score"].to_list() == [item["score"] for item in second]
    assert gateway.backend.predictions.watermark("shop") == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_event_time_is_the_clock_unless_the_request_says_otherwise(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("churn", "churn", 1)
    clock = ManualClock()
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", clock=clock)
    gateway.loop.step()
    gateway.predict("churn", [YOUNG])
    gateway.post("/invocations", {"dataframe_records": [YOUNG], "params": {"time": "2025-01-01T00:00:00"}})
    tensors = [
        {"name": "age", "shape": [1], "datatype": "FP64", "data": [20]},
        {"name": "visits", "shape": [1], "datatype": "INT64", "data": [1]},
    ]
    gateway.post("/v2/models/churn/infer", {"inputs": tensors, "parameters": {"time": "2025-06-01T00:00:00Z"}})
    logged = gateway.logged("churn")["at"].to_list()
    gateway.stop()
    assert logged == [clock.now(), datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)]


def test_a_canary_gets_its_share_and_each_key_stays_with_its_revision(gateway: GatewayUnderTest) -> None:
    gateway.backend.register(make_ranking(reverse=True), "shop", "ranking")
    rollout = gateway.backend.serving.deploy("shop", "shop", 2, strategy="canary", steps=(0.2, 0.6))
    gateway.loop.step()
    users = [{"user": f"u{number}", "recent": ""} for number in range(1000)]
    first = [row["revision"] for row in gateway.predict("shop", {"rows": users, "k": 1})]
    assert 0.15 < first.count(2) / 1000 < 0.25
    assert [row["revision"] for row in gateway.predict("shop", {"rows": users[::-1], "k": 1})] == first[::-1]
    assert ask_shop(gateway, "u1")["revision"] == first[1]

    gateway.backend.serving.advance(rollout.id)
    gateway.loop.step()
    rows = gateway.predict("shop", {"rows": users, "k": 1})
    second = [row["revision"] for row in rows]
    assert 0.55 < second.count(2) / 1000 < 0.65
    assert all(after == 2 for before, after in zip(first, second, strict=True) if before == 2)
    assert {(row["revision"], row["items"][0]) for row in rows} == {(1, "item0"), (2, "item39")}
    counts = gateway.logged("shop")["revision"].value_counts().sort("revision")["count"].to_list()
    assert sum(counts) == 3001


def test_a_key_in_the_request_goes_before_the_column(gateway: GatewayUnderTest) -> None:
    ask_shop(gateway, "u1", key="session 5")
    gateway.post("/predict/churn", {"rows": [YOUNG], "key": 17})
    assert gateway.logged("shop")["key"].to_list() == ["session 5"]
    assert gateway.logged("churn")["key"].to_list() == ["17"]


@given(key=st.text(min_size=1), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_growing_share_never_takes_a_customer_back(key: str, shares: tuple[float, float]) -> None:
    place = place_key("shop/2", key)
    assert 0 <= place < 1
    assert not (place < min(shares)) or place < max(shares)


def test_an_aborted_canary_gets_no_request_any_more(gateway: GatewayUnderTest) -> None:
    gateway.backend.register(make_ranking(reverse=True), "shop", "ranking")
    gateway.backend.serving.deploy("shop", "shop", 2, strategy="canary", steps=(0.9,))
    gateway.loop.step()
    users = [{"user": f"u{number}", "recent": ""} for number in range(50)]
    assert {row["revision"] for row in gateway.predict("shop", users)} == {1, 2}
    gateway.backend.serving.roll_back("shop")
    gateway.loop.step()
    assert {row["revision"] for row in gateway.predict("shop", users)} == {1}


def test_a_swap_under_load_fails_no_request(gateway: GatewayUnderTest) -> None:
    gateway.backend.register(make_ranking(reverse=True), "shop", "ranking")
    done = threading.Event()
    seen: list[tuple[int, int, str]] = []

    def load() -> None:
        with httpx.Client(base_url=gateway.http.url) as client:
            while not done.is_set():
                answer = client.post("/predict/shop", json=[{"user": "u", "recent": ""}])
                row = answer.json()["predictions"][0]
                seen.append((answer.status_code, row["version"], row["items"][0]))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(4):
        gateway.backend.serving.deploy("shop", "shop", 2 - number % 2)
        gateway.loop.step()
    done.set()
    for thread in threads:
        thread.join()
    assert {status for status, _version, _item in seen} == {200}
    assert {(version, item) for _status, version, item in seen} <= {(1, "item0"), (2, "item39")}
    assert gateway.logged("shop").height == len(seen)


class Moody:
    """A model that can be told to fail; stands for one whose own code breaks on some input."""

    def __init__(self, answer: pl.DataFrame, sample: pl.DataFrame, task: Task) -> None:
        self.answer = answer
        self.task: Task = task
        self.signature = Signature(infer_columns(sample), infer_columns(answer))
        self.fails = False

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self.fails:
            raise ZeroDivisionError("the model's own mistake")
        return pl.concat([self.answer] * frame.height)


def make_moody(prediction: int) -> Moody:
    return Moody(pl.DataFrame({"prediction": [prediction], "score": [0.5]}), LOGISTIC_SAMPLE, "binary")


def make_live(number: int, model: Any) -> LiveRevision:
    return LiveRevision(RevisionRoute(number, "m", number, "0" * 64), model)  # type: ignore[arg-type]


def serve(gateway: GatewayUnderTest, **revisions: LiveRevision) -> None:
    route = DeploymentRoute(deployment="moody", stable=revisions["stable"].route, share=1.0)
    gateway.gateway.swap(RoutingTable(1, {"moody": LiveDeployment(route=route, **revisions)}))


def test_a_failing_ranking_model_falls_back_to_what_is_popular(gateway: GatewayUnderTest) -> None:
    failpoints.arm("serving.predict=eio")
    row = ask_shop(gateway, recent="item30", k=2, exclude="item0")
    assert (row["items"], row["status"], row["revision"]) == (["item1", "item2"], "fallback", 1)
    failpoints.arm("")
    logged = gateway.logged("shop")
    assert logged["status"].to_list() == ["fallback"]
    assert gateway.backend.predictions.get_traffic("shop").fallbacks == 1


def test_a_failing_candidate_falls_back_to_the_stable_revision(gateway: GatewayUnderTest) -> None:
    candidate = make_moody(2)
    serve(gateway, stable=make_live(1, make_moody(1)), candidate=make_live(2, candidate))
    (row,) = gateway.predict("moody", [YOUNG])
    assert (row["prediction"], row["revision"], row["status"]) == (2, 2, "ok")
    candidate.fails = True
    (row,) = gateway.predict("moody", [YOUNG])
    assert (row["prediction"], row["revision"], row["status"]) == (1, 2, "fallback")


def test_a_failing_stable_revision_falls_back_to_the_one_before(gateway: GatewayUnderTest) -> None:
    stable, previous = make_moody(2), make_moody(1)
    serve(gateway, stable=make_live(2, stable), previous=make_live(1, previous))
    stable.fails = True
    (row,) = gateway.predict("moody", [YOUNG])
    assert (row["prediction"], row["status"]) == (1, "fallback")


def test_without_anything_to_fall_back_to_the_answer_is_an_error_with_an_id(gateway: GatewayUnderTest) -> None:
    model = make_moody(1)
    serve(gateway, stable=make_live(1, model))
    model.fails = True
    answer = gateway.post("/predict/moody", [YOUNG])
    assert (answer.status_code, answer.json()["error_code"]) == (500, "MODEL_FAILED")
    assert "own mistake" not in answer.text
    gateway.log.rotate()
    gateway.loop.step()
    (segment,) = gateway.backend.predictions.list_segments("moody")
    assert segment.errors == 1
    assert answer.headers["x-penstock-prediction-id"] == answer.json()["prediction_id"] == f"{segment.id}-0"


def test_a_candidate_with_other_columns_reads_the_request_by_its_own(gateway: GatewayUnderTest) -> None:
    other = Moody(pl.DataFrame({"prediction": [5], "score": [0.1]}), pl.DataFrame({"height": [1.0]}), "binary")
    serve(gateway, stable=make_live(1, make_moody(1)), candidate=make_live(2, other))
    (row,) = gateway.predict("moody", [YOUNG])
    assert (row["prediction"], row["status"], row["revision"]) == (1, "fallback", 2)
    answer = gateway.post("/invocations", {"dataframe_records": [YOUNG | {"height": 1.8}]})
    assert answer.json()["predictions"][0]["prediction"] == 5


def test_a_bad_request_is_no_failure_of_the_model(gateway: GatewayUnderTest) -> None:
    answer = gateway.post("/predict/shop", [{"user": "u1"}])
    assert (answer.status_code, answer.json()["field"]) == (422, "rows[0].recent")
    assert gateway.logged("shop").is_empty()


def test_a_slow_model_moves_to_threads_and_keeps_nobody_waiting(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", limits=GatewayLimits(inline_ms=0.0))
    gateway.loop.step()
    for _ in range(3):
        assert ask_shop(gateway, k=1)["items"] == ["item0"]
    many = [{"user": f"u{number}", "recent": ""} for number in range(2000)]
    assert len(gateway.predict("shop", {"rows": many, "k": 1})) == 2000
    gateway.stop()


def test_more_requests_than_it_takes_are_answered_429(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", limits=GatewayLimits(requests=0))
    gateway.loop.step()
    answer = gateway.post("/predict/shop", [{"user": "u", "recent": ""}])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert gateway.client.get("/v2/health/live").status_code == 200
    gateway.stop()


def test_a_slow_body_is_given_up(backend: Backend, tmp_path: Path) -> None:
    backend.serving.deploy("shop", "shop", 1)
    gateway = GatewayUnderTest(backend, tmp_path / "gateway", limits=GatewayLimits(body_timeout_s=0.05))
    gateway.loop.step()

    async def drip() -> int:
        async def parts() -> Any:
            yield b"["
            await asyncio.sleep(0.5)
            yield b"]"

        async with httpx.AsyncClient(base_url=gateway.http.url) as client:
            return (await client.post("/predict/shop", content=parts())).status_code

    assert asyncio.run(drip()) == 408
    gateway.stop()


def test_nothing_is_served_before_a_model_is_loaded(backend: Backend, tmp_path: Path) -> None:
    gateway = GatewayUnderTest(backend, tmp_path / "gateway")
    assert gateway.client.get("/v2/health/ready").status_code == 503
    assert gateway.client.get("/v2/health/live").status_code == 200
    assert gateway.client.get("/ping").status_code == 404
    answer = gateway.post("/predict/shop", [{}])
    assert (answer.status_code, answer.json()["error_code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    assert gateway.post("/v2/models/shop/infer", {"inputs": []}).status_code == 503
    gateway.stop()

"""Requests that meet in a batch: each gets its own answer, none waits for nothing, and none spoils another's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.serving.gateway import Gateway, GatewayLimits
from penstock.serving.pace import Pace
from serving.asking import Adder, Reply, ask, ask_all, open_gateway, read_log

NUMBER = st.floats(0, 1e6, allow_nan=False)
REQUESTS = st.lists(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=4), min_size=1, max_size=30)
THREADS = GatewayLimits(inline_ms=-1.0, batch_ms=60_000.0)


@pytest.fixture(params=["on the loop", "on a thread"])
def limits(request: pytest.FixtureRequest) -> GatewayLimits:
    return GatewayLimits() if request.param == "on the loop" else THREADS


@pytest.fixture
def held() -> Iterator[Adder]:
    """A model that answers nothing until it is let go."""
    model = Adder()
    model.may_go.clear()
    yield model
    model.may_go.set()


def rows_of(values: list[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"a": a, "b": b} for a, b in values]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=REQUESTS)
def test_each_request_gets_the_answers_of_its_own_rows_in_order(
    requests: list[list[tuple[float, float]]], limits: GatewayLimits, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = Adder()
    gateway, log = open_gateway(tmp_path_factory.mktemp("log"), limits, sum=model)
    replies = ask_all(gateway, "/predict/sum", [rows_of(values) for values in requests])
    logged = {row["id"]: row for row in read_log(log).iter_rows(named=True)}
    log.close()
    for values, reply in zip(requests, replies, strict=True):
        got = reply.json["predictions"]
        assert [item["prediction"] for item in got] == [a + b for a, b in values]
        for item, (a, b) in zip(got, values, strict=True):
            row = logged.pop(item["id"])
            assert msgspec.json.decode(row["inputs"]) == {"a": a, "b": b}
            assert msgspec.json.decode(row["output"]) == {"prediction": item["prediction"]}
    assert not logged
    assert sum(model.batches) == sum(map(len, requests))


def test_requests_of_one_turn_are_one_batch(tmp_path: Path) -> None:
    model = Adder()
    gateway, log = open_gateway(tmp_path, sum=model)
    assert {reply.status for reply in ask_all(gateway, "/predict/sum", [rows_of([(1, 2)])] * 30)} == {200}
    assert model.batches == [30]
    assert ask_all(gateway, "/predict/sum", [rows_of([(1, 2)])])[0].status == 200
    assert model.batches == [30, 1]
    log.close()


def test_what_is_too_much_for_the_loop_is_one_batch_on_a_thread(tmp_path: Path) -> None:
    model = Adder()
    gateway, log = open_gateway(tmp_path, GatewayLimits(inline_ms=0.1, batch_ms=60_000.0), sum=model)
    assert {reply.status for reply in ask_all(gateway, "/predict/sum", [rows_of([(1, 2)] * 4)] * 50)} == {200}
    assert model.batches == [200]
    log.close()


def test_what_comes_while_a_slow_batch_runs_is_the_next_one(tmp_path: Path, held: Adder) -> None:
    gateway, log = open_gateway(tmp_path, THREADS, sum=held)

    async def run() -> list[Reply]:
        first = asyncio.ensure_future(ask(gateway, "/predict/sum", rows_of([(1, 2)])))
        await asyncio.sleep(0.01)
        later = [asyncio.ensure_future(ask(gateway, "/predict/sum", rows_of([(n, 0)]))) for n in range(9)]
        await asyncio.sleep(0.01)
        held.may_go.set()
        return await asyncio.gather(first, *later)

    replies = asyncio.run(run())
    assert [reply.json["predictions"][0]["prediction"] for reply in replies] == [3, *range(9)]
    assert held.batches == [1, 9]
    log.close()


@pytest.mark.parametrize("limits", ["on the loop", "on a thread"], indirect=True)
def test_a_bad_row_fails_its_own_request_and_no_other(tmp_path: Path, limits: GatewayLimits) -> None:
    gateway, log = open_gateway(tmp_path, limits, sum=Adder())
    bodies = [rows_of([(n, 1)]) for n in range(10)]
    bodies[3] = rows_of([(-1, 1)])
    replies = ask_all(gateway, "/predict/sum", bodies)
    assert [reply.status for reply in replies] == [200, 200, 200, 500, *[200] * 6]
    assert replies[4].json["predictions"][0]["prediction"] == 5
    failed = replies[3].json["prediction_id"]
    logged = read_log(log)
    assert logged.filter(logged["status"] == "error")["id"].to_list() == [failed]
    assert logged.height == 10
    log.close()


def test_a_value_that_the_model_refuses_is_told_to_its_own_caller(tmp_path: Path) -> None:
    model = Adder(error=lambda: InvalidInputError("the model refuses this input"))
    gateway, log = open_gateway(tmp_path, sum=model)
    replies = ask_all(gateway, "/predict/sum", [rows_of([(1, 1)]), rows_of([(1, 1), (-1, 1)]), rows_of([(2, 1)])])
    assert [reply.status for reply in replies] == [200, 422, 200]
    assert read_log(log).height == 2
    log.close()


@pytest.mark.parametrize("bad", [{7}, {0, 99}, set(range(50, 100)), set(range(100))])
def test_the_rows_of_one_request_fail_apart(tmp_path: Path, bad: set[int]) -> None:
    model = Adder()
    gateway, log = open_gateway(tmp_path, sum=model)
    values = [(-1.0 if n in bad else float(n), 0.0) for n in range(100)]
    (reply,) = ask_all(gateway, "/predict/sum", [rows_of(values)])
    assert reply.status == 500
    logged = read_log(log)
    log.close()
    assert {n for n, status in enumerate(logged["status"]) if status == "error"} == bad
    assert len(model.batches) < 250


def test_who_is_late_is_answered_so_and_the_model_is_not_asked(tmp_path: Path, held: Adder) -> None:
    gateway, log = open_gateway(tmp_path, THREADS, sum=held)

    async def run() -> list[Reply]:
        first = asyncio.ensure_future(ask(gateway, "/predict/sum", rows_of([(1, 2)])))
        await asyncio.sleep(0.01)
        body = rows_of([(1, 1)])
        late = await asyncio.gather(  # answered while the first one still runs
            ask(gateway, "/predict/sum", body, x_penstock_deadline_ms="20"),
            ask(gateway, "/predict/sum", {"rows": body, "timeout": 20_000}),
        )
        held.may_go.set()
        return [await first, *late, await ask(gateway, "/predict/sum", body, x_penstock_deadline_ms="x")]

    replies = asyncio.run(run())
    assert [reply.status for reply in replies] == [200, 504, 504, 422]
    assert [reply.json.get("error_code") for reply in replies[1:3]] == ["DEADLINE_EXCEEDED"] * 2
    assert held.batches == [1]
    assert read_log(log).height == 1
    log.close()


def test_who_would_wait_too_long_is_sent_away_at_once(tmp_path: Path) -> None:
    model = Adder(row_s=0.02)
    gateway, log = open_gateway(tmp_path, GatewayLimits(inline_ms=-1.0, wait_ms=100.0, batch_ms=50.0), sum=model)
    body = rows_of([(1, 1)])

    async def run() -> tuple[list[Reply], Reply]:
        for _ in range(5):  # it learns how fast the model is
            await ask(gateway, "/predict/sum", body)
        asked = [asyncio.ensure_future(ask(gateway, "/predict/sum", body)) for _ in range(40)]
        await asyncio.sleep(0)
        health = await ask(gateway, "/v2/health/live")
        return await asyncio.gather(*asked), health

    replies, health = asyncio.run(run())
    log.close()
    counts = {status: sum(reply.status == status for reply in replies) for status in (200, 429)}
    assert sum(counts.values()) == 40 and counts[200] >= 1 and counts[429] >= 20
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.json["error_code"] == "OVERLOADED" and int(refused.headers["retry-after"]) >= 1
    assert sum(model.batches) == 5 + counts[200]
    assert health.status == 200


def test_a_gateway_that_stops_is_not_ready_and_answers_still(tmp_path: Path) -> None:
    gateway, log = open_gateway(tmp_path, sum=Adder())
    gateway.begin_stop()

    async def look() -> list[int]:
        paths = ("/v2/health/ready", "/ping", "/v2/health/live")
        return [(await ask(gateway, path)).status for path in paths]

    ready, ping, live = asyncio.run(look())
    assert (ready, live) == (503, 200) and ping >= 400
    assert ask_all(gateway, "/predict/sum", [rows_of([(1, 1)])])[0].status == 200
    log.close()


@given(fixed=st.floats(0, 50), each=st.floats(0.001, 10), sizes=st.lists(st.integers(1, 300), min_size=3, max_size=40))
def test_the_pace_of_a_model_is_learned(fixed: float, each: float, sizes: list[int]) -> None:
    pace = Pace()
    for rows in sizes:
        pace.see(rows, fixed + each * rows)
    assert pace.expect(max(sizes)) >= 0.5 * (fixed + each * max(sizes))
    if np.std(sizes) > 0.2 * np.mean(sizes):
        for rows in (1, 50, 1000):
            assert pace.expect(rows) == pytest.approx(fixed + each * rows, rel=0.05, abs=0.05)


def test_a_model_that_costs_as_much_for_one_row_as_for_many_gets_large_batches() -> None:
    """Batches of one row alone do not tell that two would cost the same: one that is twice as large is tried."""
    pace, rows = Pace(), 1
    for _ in range(20):
        rows = max(size for size in range(1, 33) if size == rows or pace.expect(size) <= 3.0)
        pace.see(rows, 2.0 + 0.01 * rows)
    assert rows == 32


def test_a_slow_batch_does_not_keep_the_loop(tmp_path: Path, held: Adder) -> None:
    """A model that is known to be slow leaves the event loop to the others."""
    quick = Adder()
    gateway, log = open_gateway(tmp_path, GatewayLimits(inline_ms=1.0), slow=held, quick=quick)
    held.may_go.set()
    held.row_s = 0.0

    async def run(gateway: Gateway) -> Reply:
        many = rows_of([(1, 1)] * 200)  # more than is begun on the loop while nothing is known
        held.may_go.clear()
        slow = asyncio.ensure_future(ask(gateway, "/predict/slow", many))
        await asyncio.sleep(0.01)
        reply = await ask(gateway, "/predict/quick", rows_of([(1, 1)]))
        assert not slow.done()
        held.may_go.set()
        assert (await slow).status == 200
        return reply

    assert asyncio.run(run(gateway)).status == 200
    log.close()

"""A revision in the shadow gets copies: logged beside what was answered, and never in anybody's way."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from patience import wait_until
from penstock.core.ids import Digest
from penstock.predictions.frames import join_outcomes, read_predictions
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import Outcome
from penstock.serving.gateway import Gateway, GatewayLimits
from penstock.serving.live import LiveRevision, RoutingTable
from penstock.serving.shadow import ShadowLimits
from penstock.serving.types import RevisionRoute
from serving.asking import Adder, Reply, ask, ask_all, open_gateway, read_log
from serving.gateways import GatewayUnderTest
from serving.models import Backend, make_logistic, make_ranking

ROWS = [{"a": 1.0, "b": 2.0}]


class Other(Adder):
    """Says one more."""

    def predict_arrays(self, matrix: Any) -> Any:
        """One more than the sum."""
        return {"prediction": super().predict_arrays(matrix)["prediction"] + 1}


def put_in_shadow(gateway: Gateway, model: Any, name: str = "adder") -> None:
    """Let a second revision have copies."""
    held = gateway.table.deployments[name]
    shadow = LiveRevision(RevisionRoute(2, name, 2, Digest("1" * 64)), model)
    route = replace(held.route, shadow=shadow.route)
    gateway.swap(RoutingTable(2, {name: replace(held, route=route, shadow=shadow)}))


@pytest.fixture
def adding(tmp_path: Path) -> Iterator[tuple[Gateway, SegmentLog]]:
    gateway, log = open_gateway(tmp_path, adder=Adder())
    yield gateway, log
    gateway.stop()
    log.close()


def wait_for_copies(log: SegmentLog, count: int) -> pl.DataFrame:
    """The log once it has so many rows that are copies."""
    found: list[pl.DataFrame] = []

    def holds() -> bool:
        frame = read_log(log)
        found[:] = [frame]
        return frame.height > 0 and frame["answered"].drop_nulls().len() >= count

    wait_until(holds)
    return found[0]


def test_a_copy_is_logged_with_the_id_that_was_answered(adding: tuple[Gateway, SegmentLog]) -> None:
    gateway, log = adding
    put_in_shadow(gateway, Other())
    replies = ask_all(gateway, "/predict/adder", [ROWS * 2, ROWS])
    assert [row["prediction"] for reply in replies for row in reply.json["predictions"]] == [3.0, 3.0, 3.0]
    assert {row["revision"] for reply in replies for row in reply.json["predictions"]} == {1}
    frame = wait_for_copies(log, 3)
    copies = frame.filter(pl.col("answered").is_not_null())
    assert copies["status"].to_list() == ["shadow"] * 3
    assert copies["revision"].to_list() == [2] * 3
    assert copies["output"].to_list() == ['{"prediction":4.0}'] * 3
    assert copies["inputs"].to_list() == ['{"a":1.0,"b":2.0}'] * 3
    ids = [row["id"] for reply in replies for row in reply.json["predictions"]]
    assert sorted(copies["answered"]) == sorted(ids)
    assert set(copies["at"]) == set(frame.filter(pl.col("answered").is_null())["at"])


def test_a_copy_that_fails_is_counted_and_nobody_hears(adding: tuple[Gateway, SegmentLog]) -> None:
    gateway, log = adding

    class Failing(Adder):
        """Fails where `a` is 7."""

        def predict_arrays(self, matrix: Any) -> Any:
            """The sums."""
            if (matrix[:, 0] == 7).any():
                raise ZeroDivisionError
            return super().predict_arrays(matrix)

    put_in_shadow(gateway, Failing())
    (reply,) = ask_all(gateway, "/predict/adder", [[*ROWS, {"a": 7.0, "b": 0.0}, *ROWS]])
    assert reply.status == 200
    copies = wait_for_copies(log, 3).filter(pl.col("answered").is_not_null())
    assert copies["status"].to_list() == ["shadow", "shadow_error", "shadow"]
    assert copies["output"][1] == '{"error":"ZeroDivisionError"}'


def test_what_the_stable_revision_could_not_answer_is_no_copy(adding: tuple[Gateway, SegmentLog]) -> None:
    gateway, log = adding
    put_in_shadow(gateway, Other())
    replies = ask_all(gateway, "/predict/adder", [[{"a": -1.0, "b": 0.0}], {"rows": ROWS, "version": 1}, ROWS])
    assert [reply.status for reply in replies] == [500, 200, 200]
    frame = wait_for_copies(log, 1)
    assert frame["answered"].drop_nulls().to_list() == [replies[2].json["predictions"][0]["id"]]


def test_copies_that_find_no_room_are_dropped_and_counted(tmp_path: Path) -> None:
    limits = GatewayLimits(shadow=ShadowLimits(rows=5))
    gateway, log = open_gateway(tmp_path, limits, adder=Adder())
    stuck = Other()
    stuck.may_go.clear()
    put_in_shadow(gateway, stuck)
    replies = ask_all(gateway, "/predict/adder", [ROWS] * 40)
    assert {reply.status for reply in replies} == {200}
    assert 34 <= gateway.dropped_copies <= 35  # one may be under way
    replies = ask_all(gateway, "/predict/adder", [ROWS] * 40)  # nobody waits for a model that hangs
    assert {reply.status for reply in replies} == {200}
    stuck.may_go.set()
    wait_for_copies(log, 5)
    gateway.stop()
    log.close()


def test_what_left_the_shadow_is_asked_no_more(adding: tuple[Gateway, SegmentLog]) -> None:
    gateway, log = adding
    model = Other()
    model.may_go.clear()
    put_in_shadow(gateway, model)
    before = gateway.table

    async def run() -> list[Reply]:
        return await asyncio.gather(*(ask(gateway, "/predict/adder", ROWS) for _ in range(20)))

    asyncio.run(run())
    gateway.swap(before.without_candidates())
    model.may_go.set()
    ask_all(gateway, "/predict/adder", [ROWS])
    gateway.stop()
    assert read_log(log)["answered"].drop_nulls().len() <= 1


def test_outcomes_are_those_of_copies_too(gateway: GatewayUnderTest, backend: Backend) -> None:
    backend.register(make_logistic(1), "churn", "binary")
    rollout = backend.serving.deploy("churn", "churn", 2, strategy="shadow")
    gateway.loop.step()
    answered = gateway.predict("churn", [{"age": float(age), "visits": 1} for age in (20, 70)])
    assert {row["revision"] for row in answered} == {1}

    def has_copies() -> bool:
        gateway.logged("churn")
        traffic = backend.predictions.get_traffic("churn", received_since=rollout.started_at)
        return sum(counts.rows for counts in traffic.shadows) == 2

    wait_until(has_copies)
    traffic = backend.predictions.get_traffic("churn", received_since=rollout.started_at)
    assert (traffic.rows, [(counts.revision, counts.rows) for counts in traffic.revisions]) == (2, [(1, 2)])
    assert [(counts.revision, counts.is_shadow, counts.errors) for counts in traffic.shadows] == [(2, True, 0)]
    assert backend.predictions.get_traffic("churn").rows == 2
    at = rollout.started_at
    outcomes = [Outcome(prediction_id=row["id"], value=place, at=at) for place, row in enumerate(answered)]
    assert backend.predictions.add_outcomes(outcomes).unmatched == 0
    segments = backend.predictions.list_segments("churn")
    assert read_predictions(backend.objects, segments).height == 2
    whole = join_outcomes(read_predictions(backend.objects, segments, with_copies=True), outcomes)
    assert whole.sort("revision", "outcome").select("revision", "status", "outcome").rows() == [
        (1, "ok", "0"),
        (1, "ok", "1"),
        (2, "shadow", "0"),
        (2, "shadow", "1"),
    ]
    assert backend.serving.list_gateways()[0].revisions["churn"] == [1, 2]


def test_a_shadow_that_cannot_be_loaded_is_reported(gateway: GatewayUnderTest, backend: Backend) -> None:
    version = backend.register_broken()
    backend.serving.deploy("shop", "shop", version.version, strategy="shadow")
    gateway.loop.step()
    assert backend.serving.list_gateways()[0].failures[0].revision == 2
    assert gateway.predict("shop", [{"user": "u", "recent": ""}])[0]["revision"] == 1


def test_lists_in_the_shadow_follow_the_same_rules(gateway: GatewayUnderTest, backend: Backend) -> None:
    backend.register(make_ranking(True), "shop", "ranking")
    backend.serving.deploy("shop", "shop", 2, strategy="shadow")
    gateway.loop.step()
    gateway.predict("shop", {"rows": [{"user": "u", "recent": ""}], "k": 2, "exclude": ["item39"]})
    wait_until(lambda: gateway.gateway.dropped_copies == 0 and gateway.logged("shop") is not None and _copies(gateway))
    assert _copies(gateway)[0].startswith('{"items":["item38","item37"]')


def _copies(gateway: GatewayUnderTest) -> list[str]:
    segments = gateway.backend.predictions.list_segments("shop")
    frame = read_predictions(gateway.backend.objects, segments, with_copies=True)
    return frame.filter(pl.col("answered").is_not_null())["output"].to_list()


def test_no_thread_runs_without_copies(tmp_path: Path) -> None:
    gateway, log = open_gateway(tmp_path, adder=Adder())
    ask_all(gateway, "/predict/adder", [ROWS])
    assert "penstock-shadow" not in {thread.name for thread in threading.enumerate()}
    gateway.stop()
    log.close()

"""What was accepted is what is stored: no value is cut, folded, rounded or encoded anew (P2)."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.mlflow.world import World, open_world

LAST_MS = 253_402_300_799_999
_texts = st.text(max_size=60) | st.text(alphabet="aé\u0301ﬁ𝔘ß İ.\t\n\r\"\\'%_\u200b\ufeff", max_size=30)
_keys = st.text(alphabet="ab/._- :é0", min_size=1, max_size=12) | _texts
_wide = st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
_metrics = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from("abc"),
            "value": st.floats(),
            "timestamp": st.integers(0, LAST_MS),
            "step": st.integers(-(2**63), 2**63 - 1) | _wide,
        }
    ),
    min_size=40,
    max_size=120,
)
_pairs = st.dictionaries(st.text("ab_ 0.-", min_size=1, max_size=12).map(lambda text: f"k{text}k"), _texts, max_size=20)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("round")) as opened:
        yield opened


def to_wire(value: float) -> float | str:
    """A number as clients send it: JSON has no form for three of them."""
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(value), value)


def bits(value: float | str) -> bytes:
    """What tells any two numbers apart, but not one NaN from another."""
    number = float(value)
    return b"NaN" if number != number else struct.pack(">d", number)


def create_run(world: World) -> str:
    run_id: str = world.get("POST", "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    return run_id


def read_back(world: World, run_id: str) -> tuple[set[Any], dict[str, str], dict[str, str]]:
    """The points, parameters and tags of a run."""
    data = world.get("GET", "runs/get", run_id=run_id)["run"]["data"]
    points = set()
    for key in "abc":
        history = world.get("GET", "metrics/get-history", run_id=run_id, metric_key=key).get("metrics", [])
        points |= {(key, bits(each["value"]), each["timestamp"], each["step"]) for each in history}
    params, tags = ({each["key"]: each["value"] for each in data.get(what, [])} for what in ("params", "tags"))
    return points, params, {key: value for key, value in tags.items() if key != "mlflow.runName"}


@given(_metrics, _pairs, _pairs)
def test_a_batch_is_kept_as_it_was_sent_or_refused_as_a_whole(
    world: World, metrics: list[dict[str, Any]], params: dict[str, str], tags: dict[str, str]
) -> None:
    run_id = create_run(world)
    sent = [metric | {"value": to_wire(metric["value"])} for metric in metrics]
    texts = {
        what: [{"key": key, "value": held[key]} for key in held]
        for what, held in zip(("params", "tags"), (params, tags), strict=True)
    }
    answer = world.ask("POST", "runs/log-batch", {"run_id": run_id, "metrics": sent} | texts)
    found = read_back(world, run_id)
    if answer.status_code != 200:
        assert answer.status_code == 400, answer.text
        assert found == (set(), {}, {})
        return
    points = {(each["key"], bits(each["value"]), each["timestamp"], each["step"]) for each in metrics}
    assert found == (points, params, tags)


@given(st.sampled_from(["runs/log-parameter", "runs/set-tag"]), _keys, _texts)
def test_a_text_is_kept_as_it_was_sent_or_refused(world: World, path: str, key: str, value: str) -> None:
    run_id = create_run(world)
    answer = world.ask("POST", path, {"run_id": run_id, "key": key, "value": value})
    _, params, tags = read_back(world, run_id)
    assert answer.status_code in (200, 400), answer.text
    expected = {key: value} if answer.status_code == 200 else {}
    assert (params, tags) == ((expected, {}) if path == "runs/log-parameter" else ({}, expected))


@given(st.floats())
def test_a_number_keeps_every_bit(world: World, value: float) -> None:
    run_id = create_run(world)
    body = {"run_id": run_id, "key": "a", "value": to_wire(value), "timestamp": 1}
    world.get("POST", "runs/log-metric", body)
    ((_, found, _, _),) = read_back(world, run_id)[0]
    assert found == bits(value)


@pytest.mark.parametrize("text", ["1e400", "-1e999", "1" + "0" * 400, "0.1e-400", "1e-324", "4.9e-324", "9" * 19])
def test_a_number_that_no_float_holds_is_never_another_one(world: World, text: str) -> None:
    run_id = create_run(world)
    body = json.dumps({"run_id": run_id, "key": "a", "timestamp": 1, "value": 0}).replace("0}", f"{text}}}")
    headers = {"content-type": "application/json"}
    answer = world.client.post("/api/2.0/mlflow/runs/log-metric", content=body, headers=headers)
    points = read_back(world, run_id)[0]
    if answer.status_code == 200:
        assert [found for _, found, _, _ in points] == [bits(float(text))]
        assert float(text) != float("inf")
    else:
        assert (answer.status_code, points) == (400, set())

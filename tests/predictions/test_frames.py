"""Predictions read back from the object store, with their outcomes beside them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

from penstock.core.ids import PredictionId
from penstock.predictions.blocks import pack_rows
from penstock.predictions.frames import PREDICTION_SCHEMA, join_outcomes, read_predictions, unpack_json
from penstock.predictions.latency import count_latencies, latency_quantile
from penstock.predictions.segment_file import compact_segment
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import Outcome, PredictionRow, Segment
from penstock.storage.columns import to_microseconds
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def ship(folder: Path, rows: list[PredictionRow]) -> tuple[ObjectStore, Segment]:
    log = SegmentLog(folder / "log")
    log.append("shop", pack_rows(rows))
    log.close()
    objects = open_object_store(folder / "objects")
    segment, path = compact_segment(log.list_closed()[0])
    return objects, msgspec.structs.replace(segment, digest=objects.put_bytes(path.read_bytes()))


def make_rows(count: int) -> list[PredictionRow]:
    return [
        PredictionRow(
            to_microseconds(MONDAY + timedelta(minutes=index)),
            1 + index % 2,
            f"customer {index}",
            msgspec.json.encode({"user": f"u{index}", "age": index}).decode(),
            '{"items":["a","ü"],"scores":[0.5,0.25]}',
            1500,
            "fallback" if index == 1 else "ok",
        )
        for index in range(count)
    ]


def test_a_segment_comes_back_as_it_was_logged(tmp_path: Path) -> None:
    objects, segment = ship(tmp_path, make_rows(3))
    assert (segment.rows, segment.fallbacks) == (3, 1)
    assert (segment.first_at, segment.last_at) == (MONDAY, MONDAY + timedelta(minutes=2))
    frame = read_predictions(objects, [segment])
    assert frame.schema == PREDICTION_SCHEMA
    assert frame["id"].to_list() == [f"{segment.id}-{row}" for row in range(3)]
    assert frame["at"][1] == MONDAY + timedelta(minutes=1)
    assert frame.row(1, named=True)["key"] == "customer 1"
    assert frame["latency_ms"].to_list() == [1.5] * 3
    assert unpack_json(frame, "inputs")["age"].to_list() == [0, 1, 2]
    output = unpack_json(frame, "output", {"items": pl.List(pl.String), "scores": pl.List(pl.Float64)})
    assert output["items"].to_list() == [["a", "ü"]] * 3


def test_no_segments_give_an_empty_frame_of_the_same_columns(tmp_path: Path) -> None:
    frame = read_predictions(open_object_store(tmp_path), [])
    assert frame.schema == PREDICTION_SCHEMA and frame.is_empty()


def test_outcomes_stand_beside_their_predictions(tmp_path: Path) -> None:
    objects, segment = ship(tmp_path, make_rows(3))
    known = [
        Outcome(prediction_id=PredictionId(f"{segment.id}-2"), value=["a"], at=MONDAY),
        Outcome(prediction_id=PredictionId(f"{segment.id}-2"), value=["b"], at=MONDAY + timedelta(days=1)),
        Outcome(prediction_id=PredictionId("elsewhere-1"), value=1, at=MONDAY),
    ]
    frame = join_outcomes(read_predictions(objects, [segment]), known)
    assert frame["outcome"].to_list() == [None, None, '["b"]']
    assert frame["outcome_at"].to_list() == [None, None, MONDAY + timedelta(days=1)]


def test_a_latency_quantile_is_at_most_an_eighth_too_high() -> None:
    latencies = [round(1.01**power) for power in range(1500)]
    counts = count_latencies(latencies)
    assert sum(count for _, count in counts) == 1500
    for quantile in (0.01, 0.5, 0.9, 0.99, 1.0):
        exact = sorted(latencies)[max(round(quantile * 1500) - 1, 0)] / 1000
        found = latency_quantile(counts, quantile)
        assert found is not None and exact <= found * 1.0001 <= exact * 1.1225
    assert latency_quantile([], 0.5) is None

"""Blocks of the prediction log: what goes in comes out as rows, whatever form it had, and however the file ends."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.framing import frame_record
from penstock.core.ids import SegmentId
from penstock.predictions.blocks import SCHEMA, STATUSES, Block, Columns, pack, pack_rows, to_frame
from penstock.predictions.records import SegmentHeader, read_records, repair
from penstock.predictions.segment_file import compact_segment, decode_rows
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import PredictionRow

NUMBERS = Columns(
    (("age", "double"), ("visits", "long"), ("member", "boolean")),
    (("prediction", "long"), ("score", "double"), ("probabilities", "double[]")),
)
OTHERS = Columns((("age", "double"), ("visits", "double"), ("old", "double")), NUMBERS.outputs)
TEXTS = Columns((), (("prediction", "string"), ("score", "double")))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
ROW = st.fixed_dictionaries(
    {
        "at_us": st.integers(0, 7_258_118_400_000_000),
        "latency_us": st.integers(0, 2**31 - 1),
        "revision": st.integers(1, 2**31 - 1),
        "key": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        "status": st.sampled_from(STATUSES),
        "propensity": st.floats(0, 1),
        "age": st.none() | FINITE,
        "visits": st.none() | WHOLE,
        "member": st.booleans(),
        "prediction": WHOLE,
        "score": FINITE,
        "probabilities": st.tuples(FINITE, FINITE),
        "name": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    }
)
BATCH = st.tuples(st.sampled_from(["numbers", "texts", "json"]), st.lists(ROW, min_size=1, max_size=4))


def make_block(form: str, rows: list[dict[str, Any]]) -> tuple[Block, Columns | None, list[tuple[Any, Any]]]:
    """A block, what it holds as arrays, and its inputs and outputs as they should be read back."""
    common: dict[str, Any] = {
        "rows": len(rows),
        "at_us": pack([row["at_us"] for row in rows], "<i8"),
        "latency_us": pack([row["latency_us"] for row in rows], "<i4"),
        "revisions": pack([row["revision"] for row in rows], "<i4"),
        "keys": [row["key"] for row in rows],
        "statuses": bytes(STATUSES.index(row["status"]) for row in rows),
        "propensity": pack([row["propensity"] for row in rows], "<f8"),
    }
    inputs = [{name: row[name] for name in ("age", "visits", "member")} for row in rows]
    if form == "numbers":
        matrix = np.array([[math.nan if v is None else v for v in row.values()] for row in inputs], dtype="<f8")
        outputs = [{name: row[name] for name in ("prediction", "score", "probabilities")} for row in rows]
        columns = [pack([row[name] for row in rows], "<f8") for name in ("prediction", "score", "probabilities")]
        block = Block(**common, inputs=matrix.tobytes(), outputs=columns)
        expected = [{**row, "probabilities": list(row["probabilities"])} for row in outputs]
        return block, NUMBERS, list(zip(inputs, expected, strict=True))
    named = [{"name": row["name"]} for row in rows]
    texts = [msgspec.json.encode(row).decode() for row in named]
    if form == "texts":
        outputs = [{"prediction": row["name"], "score": row["score"]} for row in rows]
        packed: list[Any] = [[row["name"] for row in rows], pack([row["score"] for row in rows], "<f8")]
        return Block(**common, inputs=texts, outputs=packed), TEXTS, list(zip(named, outputs, strict=True))
    return Block(**common, inputs=texts, outputs=[texts]), None, list(zip(named, named, strict=True))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    yield (tmp_path_factory.mktemp("log") for _ in range(1000))


@given(batches=st.lists(BATCH, min_size=1, max_size=6))
def test_every_form_comes_back_as_rows_in_order(batches: list[Any], folders: Iterator[Path]) -> None:
    log = SegmentLog(next(folders), rotate_after_s=3600)
    rows, values, ids = [], [], []
    for form, batch in batches:
        block, columns, held = make_block(form, batch)
        ids += log.append("shop", block, columns)
        rows += batch
        values += held
    log.close()
    (path,) = log.list_closed()
    segment, compacted = compact_segment(path)
    frame = decode_rows(compacted.read_bytes())
    assert frame.schema == SCHEMA
    assert ids == [f"{segment.id}-{number}" for number in frame["row"]]
    for row, (inputs, output), found in zip(rows, values, frame.iter_rows(named=True), strict=True):
        assert msgspec.json.decode(found["inputs"]) == inputs
        assert msgspec.json.decode(found["output"]) == output
        assert {name: found[name] for name in ("key", "status", "revision", "propensity")} == {
            name: row[name] for name in ("key", "status", "revision", "propensity")
        }
        assert found["latency_ms"] == pytest.approx(row["latency_us"] / 1000, rel=1e-6)
    assert frame["at"].dt.timestamp("us").to_list() == [row["at_us"] for row in rows]
    assert segment.rows == len(rows) and segment.errors == sum(row["status"] == "error" for row in rows)
    assert sum(own.rows for own in segment.revisions) == len(rows)


def write(folder: Path, count: int) -> tuple[Path, list[int]]:
    """A finished segment of so many blocks, two rows each, and where each ends."""
    log = SegmentLog(folder, rotate_after_s=3600)
    ends = []
    for number in range(count):
        columns = NUMBERS if number < count - 1 else OTHERS
        age = pack([[number, 1, 0], [number + 0.5, 1, 1]], "<f8")
        block = Block(
            rows=2,
            at_us=pack([number] * 2, "<i8"),
            latency_us=pack([5] * 2, "<i4"),
            revisions=pack([1] * 2, "<i4"),
            inputs=age,
            outputs=[pack([1, 0], "<f8"), pack([0.5, 0.5], "<f8"), pack([0.5] * 4, "<f8")],
        )
        log.append("shop", block, columns)
        (path,) = folder.glob("*.open")
        ends.append(path.stat().st_size)
    log.close()
    return log.list_closed()[0], ends


def test_a_file_cut_at_any_byte_keeps_every_whole_block(tmp_path: Path) -> None:
    path, ends = write(tmp_path / "whole", 3)
    data = path.read_bytes()
    torn, repaired = tmp_path / "torn.open", tmp_path / "torn.closed"
    for size in range(len(data) + 1):
        torn.write_bytes(data[:size])
        repair(torn, repaired)
        kept = sum(end <= size for end in ends)
        assert repaired.exists() == bool(kept) and not torn.exists()
        assert not list(tmp_path.glob("*.damaged"))
        if kept:
            times = read_records(repaired).frame()["at"].dt.timestamp("us").to_list()
            assert times == [number for number in range(kept) for _ in range(2)]
            repaired.unlink()


def test_files_of_the_older_format_are_read(tmp_path: Path) -> None:
    encoder = msgspec.msgpack.Encoder()
    old = [
        [5, 1, "k", '{"age":41}', '{"prediction":1}', 900, "ok"],
        [6, 2, "", "{}", '{"error":"X"}', 100, "error"],
    ]
    records = [["01abc", "shop", 1], *old]
    path = tmp_path / "01abc.open"
    path.write_bytes(b"".join(frame_record(encoder.encode(record)) for record in records))
    log = SegmentLog(tmp_path)
    log.close()
    segment, compacted = compact_segment(log.list_closed()[0])
    assert (segment.id, segment.deployment, segment.rows, segment.errors) == ("01abc", "shop", 2, 1)
    frame = decode_rows(compacted.read_bytes())
    assert frame["inputs"].to_list() == ['{"age":41}', "{}"]
    assert frame["propensity"].to_list() == [1.0, 1.0]


def test_parquet_files_of_the_older_format_are_read(tmp_path: Path) -> None:
    rows = [PredictionRow(5, 1, "k", "{}", "{}", 900)]
    target = tmp_path / "old.parquet"
    to_frame([pack_rows(rows)], []).drop("propensity", "answered", "caller_id").write_parquet(target)
    frame = decode_rows(target.read_bytes())
    assert frame.schema == SCHEMA and frame["propensity"].to_list() == [1.0]
    assert frame["answered"].to_list() == [None]


def test_columns_stand_once_in_a_file(tmp_path: Path) -> None:
    path, _ = write(tmp_path, 5)
    content = read_records(path)
    assert content.header == SegmentHeader(SegmentId(path.stem), "shop")
    assert content.columns == [NUMBERS, OTHERS]
    assert [block.columns for block in content.blocks] == [0, 0, 0, 0, 1]
    assert content.frame().select(pl.col("propensity").unique()).item() == 1.0


def test_a_block_of_an_older_version_is_read() -> None:
    row = PredictionRow(5, 1, "", "{}", "{}", 1)
    block = pack_rows([row])
    block.columns = -1
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(block))
    assert fields[-1] == []  # the names of callers, which came last
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(fields[:-1]), type=Block)
    assert to_frame([old], [])["caller_id"].to_list() == [None]

"""Blocks of the prediction log: the predictions of a batch as compact arrays, and as the frame they become.

A batch of a fast model is a few rows, thousands of times a second. So a block is made without looking at a value, and
the JSON texts that readers of the log see are made later, for a whole segment at once and outside the GIL.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from penstock.predictions.types import PredictionRow, Status

SCHEMA = pl.Schema(
    {
        "row": pl.Int32(),
        "at": pl.Datetime("us", "UTC"),
        "revision": pl.Int32(),
        "key": pl.String(),
        "inputs": pl.String(),
        "output": pl.String(),
        "latency_ms": pl.Float32(),
        "status": pl.String(),
        "propensity": pl.Float64(),
        "answered": pl.String(),
        "caller_id": pl.String(),
    }
)
STATUSES: tuple[Status, ...] = ("ok", "fallback", "error", "shadow", "shadow_error")
_TYPES: dict[str, pl.DataType] = {"double": pl.Float64(), "long": pl.Int64(), "boolean": pl.Boolean()}

Packed = bytes | list[str]  # little-endian float64, or texts
NamedType = tuple[str, str]  # a column, and its type in a signature


class Columns(Struct, frozen=True, array_like=True, tag="columns"):
    """The names and types of what later blocks of the same file hold as arrays."""

    inputs: tuple[NamedType, ...]
    outputs: tuple[NamedType, ...]


class Block(Struct, array_like=True, tag="block", kw_only=True):
    """Some predictions, row by row. Arrays are little-endian bytes."""

    rows: int
    at_us: bytes  # int64: event time, microseconds since 1970, UTC
    latency_us: bytes  # int32
    revisions: bytes  # int32
    inputs: Packed  # float64 (rows, columns), NaN where a value is missing; or each row as a JSON object
    outputs: list[Packed]  # a column each, in the order of `columns`; one list of JSON objects where that is -1
    keys: list[str] = []  # what keeps a customer on one revision; empty where no row has any
    statuses: bytes = b""  # uint8, a place in STATUSES; empty where all are "ok"
    propensity: bytes = b""  # float64: the chance with which the revision was chosen; empty where all are 1
    columns: int = -1  # which `Columns` of the file; the log numbers them
    answered: list[str] = []  # of copies: the ids of the predictions that callers got; empty where none is a copy
    caller_ids: list[str] = []  # what callers call their requests; empty where none has a name


def pack(values: Sequence[Any] | NDArray[Any], kind: str) -> bytes:
    """Numbers as little-endian bytes; `kind` is numpy's word for the type, as `<i8`."""
    return np.asarray(values, dtype=kind).tobytes()


def pack_rows(rows: Sequence[PredictionRow]) -> Block:
    """Rows that are JSON texts already as a block."""
    return Block(
        rows=len(rows),
        at_us=pack([row.at_us for row in rows], "<i8"),
        latency_us=pack([row.latency_us for row in rows], "<i4"),
        revisions=pack([row.revision for row in rows], "<i4"),
        inputs=[row.inputs for row in rows],
        outputs=[[row.output for row in rows]],
        keys=[row.key for row in rows],
        statuses=bytes(STATUSES.index(row.status) for row in rows),
        propensity=pack([row.propensity for row in rows], "<f8"),
        answered=[row.answered for row in rows] if any(row.answered for row in rows) else [],
    )


def to_frame(blocks: Sequence[Block], columns: Sequence[Columns]) -> pl.DataFrame:
    """The predictions of some blocks, in order, with the columns of `SCHEMA`.

    Args:
        blocks: at least one.
        columns: what the blocks' numbers stand for.
    """
    counts = np.array([block.rows for block in blocks])
    statuses = np.frombuffer(b"".join(b.statuses or bytes(b.rows) for b in blocks), np.uint8)
    propensity = np.frombuffer(b"".join(b.propensity or pack(np.ones(b.rows), "<f8") for b in blocks), "<f8")
    at = np.frombuffer(b"".join(block.at_us for block in blocks), "<i8")
    latency = np.frombuffer(b"".join(block.latency_us for block in blocks), "<i4")
    revisions = np.frombuffer(b"".join(block.revisions for block in blocks), "<i4")
    inputs, outputs = _texts(blocks, columns, counts)
    return pl.DataFrame(
        {
            "row": np.arange(counts.sum(), dtype=np.int32),
            "at": pl.Series(at).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "revision": pl.Series(revisions, dtype=pl.Int32),
            "key": [key for block in blocks for key in block.keys or [""] * block.rows],
            "inputs": inputs,
            "output": outputs,
            "latency_ms": pl.Series(latency / 1000, dtype=pl.Float32),
            "status": pl.Series(STATUSES).gather(statuses),
            "propensity": propensity,
            "answered": _optional([(block.answered, block.rows) for block in blocks]),
            "caller_id": _optional([(block.caller_ids, block.rows) for block in blocks]),
        },
        schema_overrides={"key": pl.String()},
    ).select(SCHEMA.names())


def _optional(parts: Sequence[tuple[list[str], int]]) -> pl.Series:
    """Texts of which a block may have none, for a number of rows each; an empty one is none."""
    if not any(texts for texts, _ in parts):
        return pl.repeat(None, sum(rows for _, rows in parts), dtype=pl.String, eager=True)
    return pl.Series([text or None for texts, rows in parts for text in texts or [""] * rows], dtype=pl.String)


def _texts(blocks: Sequence[Block], columns: Sequence[Columns], counts: NDArray[Any]) -> tuple[pl.Series, pl.Series]:
    """Inputs and outputs as JSON; blocks of one form are made together and then brought into order."""
    starts = np.cumsum(counts) - counts
    forms: dict[tuple[int, bool], list[int]] = {}
    for place, block in enumerate(blocks):
        forms.setdefault((block.columns, isinstance(block.inputs, bytes)), []).append(place)
    rows, inputs, outputs = [], [], []
    for (number, _), places in forms.items():
        own = [blocks[place] for place in places]
        named = columns[number] if number >= 0 else None
        rows.append(np.concatenate([np.arange(starts[place], starts[place] + counts[place]) for place in places]))
        inputs.append(_input_texts(own, named))
        outputs.append(_output_texts(own, named))
    if len(forms) == 1:
        return inputs[0], outputs[0]
    order = np.argsort(np.concatenate(rows))
    return pl.concat(inputs).gather(order), pl.concat(outputs).gather(order)


def _input_texts(blocks: Sequence[Block], columns: Columns | None) -> pl.Series:
    if columns is None or not isinstance(blocks[0].inputs, bytes):
        return pl.Series([text for block in blocks for text in block.inputs], dtype=pl.String)
    joined = _join([block.inputs for block in blocks]).reshape(-1, len(columns.inputs))
    return _to_json([_series(name, kind, joined[:, at]) for at, (name, kind) in enumerate(columns.inputs)])


def _output_texts(blocks: Sequence[Block], columns: Columns | None) -> pl.Series:
    if columns is None:
        return pl.Series([text for block in blocks for text in block.outputs[0]], dtype=pl.String)
    rows = sum(block.rows for block in blocks)
    series = []
    for at, (name, kind) in enumerate(columns.outputs):
        held = [block.outputs[at] for block in blocks]
        if isinstance(held[0], list):
            series.append(pl.Series(name, [text for texts in held for text in texts], dtype=pl.String))
        elif kind.endswith("[]"):
            series.append(pl.Series(name, _join(held).reshape(rows, -1)).arr.to_list())
        else:
            series.append(_series(name, kind, _join(held)))
    return _to_json(series)


def _join(parts: Sequence[Packed]) -> NDArray[np.float64]:
    return np.frombuffer(b"".join(part for part in parts if isinstance(part, bytes)), "<f8")


def _series(name: str, kind: str, values: NDArray[np.float64]) -> pl.Series:
    return pl.Series(name, values).fill_nan(None).cast(_TYPES[kind])


def _to_json(series: list[pl.Series]) -> pl.Series:
    return pl.DataFrame(series).select(pl.struct(pl.all()).struct.json_encode()).to_series()

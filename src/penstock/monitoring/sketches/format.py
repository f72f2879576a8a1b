"""Sketches as bytes: MessagePack with a version, arrays as little-endian bytes. See docs/reference/file-formats.md."""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.monitoring.sketches.column import ColumnSketch, Family, ListSketch
from penstock.monitoring.sketches.cuts import Cut
from penstock.monitoring.sketches.table import Segments, TableSketch
from penstock.stats.sketches.calibration import CalibrationHistogram
from penstock.stats.sketches.frequencies import Frequencies
from penstock.stats.sketches.moments import Moments
from penstock.stats.sketches.quantiles import ROOM, QuantileSketch

MAGIC = b"pssktch1"  # the last byte is the format


class _Quantiles(Struct, frozen=True, array_like=True):
    levels: list[bytes]  # float64
    rows: int
    steps: float
    room: int = ROOM


class _Counts(Struct, frozen=True, array_like=True):
    counts: dict[str, int]
    rows: int
    error: int
    buckets: bytes | None  # int64
    hashes: bytes | None  # uint64


class _Column(Struct, frozen=True, array_like=True, kw_only=True):
    name: str
    family: Family
    rows: int
    missing: int
    is_whole: bool
    numbers: _Quantiles
    moments: list[float]
    hashes: bytes | None  # uint64
    labels: _Counts | None
    firsts: _Counts | None
    several: int
    spread: float
    lists: "_Lists | None" = None  # older sketches have none


class _Lists(Struct, frozen=True, array_like=True):
    lengths: _Column
    items: _Counts | None
    norms: _Column | None


class _Table(Struct, frozen=True, array_like=True, kw_only=True):
    rows: int
    columns: list[_Column]
    outputs: list[_Column]
    calibration: CalibrationHistogram | None
    segments: list["_Segments"] = []  # older sketches have none
    uncut: dict[str, str] = {}


class _Segments(Struct, frozen=True, array_like=True):
    cut: Cut
    parts: list[tuple[str, _Table]]


_decoder = msgspec.msgpack.Decoder(_Table)


def encode_sketch(sketch: TableSketch) -> bytes:
    """A sketch as bytes; the same sketch always gives the same ones."""
    return MAGIC + msgspec.msgpack.encode(_store_table(sketch))


def decode_sketch(data: bytes, name: str = "a sketch") -> TableSketch:
    """The sketch that bytes hold.

    Args:
        data: what `encode_sketch` gave.
        name: as messages call it.

    Raises:
        InvalidInputError: they are of a newer penstock.
        CorruptDataError: they are no sketch, or damaged.
    """
    if not data.startswith(MAGIC):
        if data.startswith(MAGIC[:-1]):
            raise InvalidInputError(
                f"{name} was written by a newer penstock", hint="update this one, or sketch it anew"
            )
        raise CorruptDataError(f"{name} is no sketch", hint="`penstock drift REFERENCE CURRENT --keep FILE` writes one")
    try:
        return _load_table(_decoder.decode(data[len(MAGIC) :]))
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError) as error:
        raise CorruptDataError(f"{name} is damaged: {error}") from error


def _store_table(sketch: TableSketch) -> _Table:
    return _Table(
        rows=sketch.rows,
        columns=[_store_column(*each) for each in sketch.columns.items()],
        outputs=[_store_column(*each) for each in sketch.outputs.items()],
        calibration=sketch.calibration,
        segments=[
            _Segments(held.cut, [(name, _store_table(part)) for name, part in held.parts.items()])
            for held in sketch.segments
        ],
        uncut=dict(sorted(sketch.uncut.items())),
    )


def _load_table(table: _Table) -> TableSketch:
    return TableSketch(
        rows=table.rows,
        columns={column.name: _load_column(column) for column in table.columns},
        outputs={column.name: _load_column(column) for column in table.outputs},
        calibration=table.calibration,
        segments=tuple(
            Segments(held.cut, {name: _load_table(part) for name, part in held.parts}) for held in table.segments
        ),
        uncut=table.uncut,
    )


def _store_column(name: str, column: ColumnSketch) -> _Column:
    numbers = column.numbers
    return _Column(
        name=name,
        family=column.family,
        rows=column.rows,
        missing=column.missing,
        is_whole=column.is_whole,
        numbers=_Quantiles(
            [_pack(level, "<f8") for level in numbers.levels], numbers.rows, numbers.steps, numbers.room
        ),
        moments=list(msgspec.structs.astuple(column.moments)),
        hashes=None if column.hashes is None else _pack(column.hashes, "<u8"),
        labels=None if column.labels is None else _store_counts(column.labels),
        firsts=None if column.firsts is None else _store_counts(column.firsts),
        several=column.several,
        spread=column.spread,
        lists=None if column.lists is None else _store_lists(column.lists),
    )


def _store_lists(lists: ListSketch) -> _Lists:
    items = None if lists.items is None else _store_counts(lists.items)
    norms = None if lists.norms is None else _store_column("", lists.norms)
    return _Lists(_store_column("", lists.lengths), items, norms)


def _load_column(column: _Column) -> ColumnSketch:
    numbers = column.numbers
    rows, *moments = column.moments
    return ColumnSketch(
        family=column.family,
        rows=column.rows,
        missing=column.missing,
        is_whole=column.is_whole,
        numbers=QuantileSketch(
            tuple(_unpack(level, "<f8") for level in numbers.levels), numbers.rows, numbers.steps, numbers.room
        ),
        moments=Moments(int(rows), *moments),
        hashes=None if column.hashes is None else _unpack(column.hashes, "<u8"),
        labels=None if column.labels is None else _load_counts(column.labels),
        firsts=None if column.firsts is None else _load_counts(column.firsts),
        several=column.several,
        spread=column.spread,
        lists=None if column.lists is None else _load_lists(column.lists),
    )


def _load_lists(lists: _Lists) -> ListSketch:
    items = None if lists.items is None else _load_counts(lists.items)
    norms = None if lists.norms is None else _load_column(lists.norms)
    return ListSketch(lengths=_load_column(lists.lengths), items=items, norms=norms)


def _store_counts(counts: Frequencies) -> _Counts:
    ordered = dict(sorted(counts.counts.items()))
    buckets = None if counts.buckets is None else _pack(counts.buckets, "<i8")
    hashes = None if counts.hashes is None else _pack(counts.hashes, "<u8")
    return _Counts(ordered, counts.rows, counts.error, buckets, hashes)


def _load_counts(counts: _Counts) -> Frequencies:
    buckets = None if counts.buckets is None else _unpack(counts.buckets, "<i8")
    hashes = None if counts.hashes is None else _unpack(counts.hashes, "<u8")
    return Frequencies(counts.counts, counts.rows, counts.error, buckets, hashes)


def _pack(values: NDArray[Any], kind: str) -> bytes:
    return values.astype(kind).tobytes()


def _unpack(data: bytes, kind: str) -> NDArray[Any]:
    return np.frombuffer(data, dtype=kind).astype(kind[1:])

"""Drops the inputs of a segment: first an object without them, then one transaction that puts it in place."""

import io
from collections.abc import Collection

import msgspec
import polars as pl

from penstock.core import failpoints
from penstock.predictions.segment_file import encode_frame
from penstock.predictions.service import PredictionService
from penstock.predictions.types import Segment
from penstock.storage.objects.object_store import ObjectStore

_read_inputs = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def drop_inputs(
    predictions: PredictionService, objects: ObjectStore, segment: Segment, kept: Collection[str]
) -> Segment:
    """Take all inputs but some columns out of a segment; a crash in between leaves an object that `gc` removes.

    Args:
        predictions: knows the segment.
        objects: where its object lies.
        segment: whose inputs are there.
        kept: the columns that stay.

    Raises:
        CorruptDataError: its object is damaged.
    """
    digest = objects.put_bytes(strip_inputs(objects.get_bytes(segment.digest), kept))
    failpoints.hit("predictions.drop_inputs")
    return predictions.drop_inputs(segment.id, digest, sorted(kept))


def strip_inputs(data: bytes, kept: Collection[str]) -> bytes:
    """A segment's file with only some of its input columns; the same file gives the same bytes."""
    frame = pl.read_parquet(io.BytesIO(data))
    wanted = frozenset(kept)
    texts = [_strip(text, wanted) for text in frame["inputs"]]
    return encode_frame(frame.with_columns(inputs=pl.Series(texts, dtype=pl.String)))


def _strip(text: str, wanted: Collection[str]) -> str:
    try:
        held = _read_inputs(text)
    except msgspec.DecodeError:  # it is no object, so no column can be told from another
        return "{}"
    return msgspec.json.encode({name: value for name, value in held.items() if name in wanted}).decode()

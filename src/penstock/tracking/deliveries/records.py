"""The records of a spool: what a client did to one run, as it is kept on the client's disk and sent to the server.

Each is a MessagePack array whose first item says which it is. Moments are microseconds since 1970, UTC.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from penstock.core.ids import Digest, RunId
from penstock.tracking.types import RunSource, RunStatus

Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999_999)]  # up to the year 9999
POINTS = 3  # the tag of `Points`, which a client writes past the cost of a record


class Begin(Struct, frozen=True, array_like=True, tag=1):
    """A run begins; its id was chosen by the client."""

    run_id: RunId
    at: Moment
    experiment: str
    name: str
    tags: dict[str, str]
    source: RunSource
    parent: RunId | None = None


class Join(Struct, frozen=True, array_like=True, tag=2):
    """The client goes on with a run that another spool has begun; with `reopen`, one that has ended as well."""

    run_id: RunId
    at: Moment
    reopen: bool


class Points(Struct, frozen=True, array_like=True, tag=POINTS):
    """Metrics measured at one moment; NaN and infinities are floats here."""

    run_id: RunId
    at: Moment
    step: int
    values: dict[str, float]


class Params(Struct, frozen=True, array_like=True, tag=4):
    """Params that are set."""

    run_id: RunId
    at: Moment
    params: dict[str, str]


class Tags(Struct, frozen=True, array_like=True, tag=5):
    """Tags that are set."""

    run_id: RunId
    at: Moment
    tags: dict[str, str]


class File(Struct, frozen=True, array_like=True, tag=6):
    """An artifact, whose bytes are in the object store."""

    run_id: RunId
    at: Moment
    path: str
    digest: Digest
    size_bytes: int


class End(Struct, frozen=True, array_like=True, tag=7):
    """The run ends; with `lost`, because its process died without a word, unless the run has ended already."""

    run_id: RunId
    at: Moment
    status: RunStatus
    lost: bool = False


Record = Begin | Join | Points | Params | Tags | File | End
encode_record = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def decode_record(payload: bytes) -> Record:
    """The record of a payload.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _decoder.decode(payload)

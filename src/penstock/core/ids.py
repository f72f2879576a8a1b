"""Names of things: sortable ids, and `Ref`, the one way to point at anything."""

import os
import re
import time
from typing import NewType

from msgspec import Struct

from penstock.core.errors import InvalidInputError

ExperimentId = NewType("ExperimentId", int)  # 0 is the experiment "Default"
RunId = NewType("RunId", str)
StepId = NewType("StepId", str)
EpisodeId = NewType("EpisodeId", str)
AlertId = NewType("AlertId", str)
IncidentId = NewType("IncidentId", str)
ReportId = NewType("ReportId", str)
RolloutId = NewType("RolloutId", str)
SegmentId = NewType("SegmentId", str)
PredictionId = NewType("PredictionId", str)
Digest = NewType("Digest", str)  # 64 hexadecimal digits of BLAKE3

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_REF_LIMIT = 299  # characters of kind and id together; the columns that keep references are that wide
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]{0,126}[A-Za-z0-9])?")


def new_id(now_ms: int | None = None) -> str:
    """A 26-character id that sorts by creation time to the millisecond: 48 bits of time, 80 bits of chance."""
    value = _sortable(now_ms)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def new_hex_id(now_ms: int | None = None) -> str:
    """As `new_id`, in the 32 hexadecimal digits that MLflow's clients expect of a run."""
    return f"{_sortable(now_ms):032x}"


def _sortable(now_ms: int | None) -> int:
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return (milliseconds << 80) | int.from_bytes(os.urandom(10))


def check_name(name: str, what: str) -> str:
    """The name itself, when people may use it for a `what` (a model, a dataset, an alias ...).

    Raises:
        InvalidInputError: it is empty, too long, or holds other than letters, digits, `_`, `.` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} cannot name {'an' if what[0] in 'aeiou' else 'a'} {what}",
            hint="use 1 to 128 letters, digits, '_', '.' or '-', beginning and ending with a letter or digit",
            field="name",
        )
    return name


class Ref(Struct, frozen=True, order=True):
    """Points at one thing of any noun: `model-version:suggest/3`, `run:01j...`, `dataset-version:events/2`."""

    kind: str
    id: str

    def __post_init__(self) -> None:
        """Refuse what could not be read back from its text."""
        if not (self.kind and self.id) or ":" in self.kind or len(self.kind) + len(self.id) > _REF_LIMIT:
            raise InvalidInputError(
                f"{str(self)[:80]!r} points at nothing",
                hint=f"a reference is kind:id, with a colon after the kind and up to {_REF_LIMIT} characters",
            )

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    @property
    def traced(self) -> "Ref":
        """What lineage knows this thing by: a prediction is a row of its segment, everything else itself."""
        if self.kind == "prediction":
            return Ref("segment", self.id.rpartition("-")[0])
        return self

    @classmethod
    def parse(cls, text: str) -> "Ref":
        """The ref that `str()` wrote.

        Raises:
            InvalidInputError: there is no `kind:` in front.
        """
        kind, colon, name = text.partition(":")
        if not (kind and colon and name):
            raise InvalidInputError(
                f"{text!r} is no reference", hint="write kind:id, as in model-version:suggest/3 or run:01J8..."
            )
        return cls(kind, name)

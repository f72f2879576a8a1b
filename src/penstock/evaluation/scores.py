"""What each row adds to each metric, kept so that a later model can be compared on the same rows."""

import io
from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from penstock.core.errors import CorruptDataError
from penstock.stats.arrays import FloatArray, IntArray

_TERMS = "terms."
_CLUSTERS = "clusters"


class Scores(Struct, frozen=True):
    """The rows of a report.

    Attributes:
        terms: by metric, shape (n, d); for ROC AUC label and score. NaN in rows that cannot be scored.
        clusters: the cluster of each row as a code, shape (n,), or None.
    """

    terms: Mapping[str, FloatArray]
    clusters: IntArray | None = None


def pack_scores(scores: Scores) -> bytes:
    """The scores as an `.npz` file; equal scores give equal bytes."""
    arrays = {_TERMS + name: terms for name, terms in sorted(scores.terms.items())}
    if scores.clusters is not None:
        arrays[_CLUSTERS] = scores.clusters.astype(np.int64)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack_scores(data: bytes) -> Scores:
    """The scores that `pack_scores` wrote.

    Raises:
        CorruptDataError: the bytes are something else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy and zipfile raise some six kinds for a broken file
        raise CorruptDataError(f"the scores of a report cannot be read: {error}") from error
    clusters = arrays.pop(_CLUSTERS, None)
    return Scores({name.removeprefix(_TERMS): terms for name, terms in arrays.items()}, clusters)

"""The array types of this folder, and the one place where samples are checked."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def as_sample(values: ArrayLike, name: str) -> FloatArray:
    """Numbers as a float array of shape (n,).

    Raises:
        InvalidInputError: it is empty, not one-dimensional, or holds NaN or infinity.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise InvalidInputError(f"{name} has {sample.ndim} dimensions and needs one", field=name)
    if sample.size == 0:
        raise InvalidInputError(f"{name} holds no value", hint="give at least one", field=name)
    if not np.isfinite(sample).all():
        first = int(np.flatnonzero(~np.isfinite(sample))[0])
        raise InvalidInputError(
            f"{name}[{first}] is {sample[first]}", hint="leave out rows without a value", field=name
        )
    return sample


def cluster_codes(clusters: Sequence[Hashable] | NDArray[Any]) -> IntArray:
    """Which cluster each row belongs to, as 0, 1, 2 ... in order of first sight; shape (n,)."""
    known: dict[Hashable, int] = {}
    plain = clusters.tolist() if isinstance(clusters, np.ndarray) else clusters
    return np.fromiter((known.setdefault(cluster, len(known)) for cluster in plain), np.int64, len(plain))


def check_same_length(**arrays: Any) -> None:
    """Check that the named arrays have one length.

    Raises:
        InvalidInputError: they differ; the message gives each length.
    """
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise InvalidInputError(f"the rows do not match: {told}")


def check_level(alpha: float) -> float:
    """A level of significance itself.

    Raises:
        InvalidInputError: it is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise InvalidInputError(f"a level of {alpha} makes no sense", hint="give one between 0 and 1, such as 0.05")
    return alpha

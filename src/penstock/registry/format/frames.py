"""Model input and output as polars frames; apart from the arrays, which need no polars."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.registry.format.golden import Rows
from penstock.registry.format.port import Answer, Predictor
from penstock.registry.format.signature import cast
from penstock.registry.format.types import Column


def predict(predictor: Predictor, frame: pl.DataFrame, inputs: Sequence[Column]) -> pl.DataFrame:
    """Let a predictor answer a frame that is checked against its signature.

    Raises:
        InvalidInputError: a column or value is missing or has another type; `field` says where.
    """
    return predictor.predict(cast(frame, inputs))


def to_matrix(frame: pl.DataFrame) -> NDArray[np.float64]:
    """Columns of numbers and booleans as a matrix; null is NaN."""
    return frame.select(pl.all().cast(pl.Float64)).to_numpy()


def to_columns(matrix: NDArray[Any], names: Sequence[str]) -> pl.DataFrame:
    """A matrix as a frame; NaN stays NaN."""
    return pl.DataFrame({name: matrix[:, place] for place, name in enumerate(names)})


def to_answer(answer: Answer) -> pl.DataFrame:
    """The columns of a prediction as a frame."""
    return pl.DataFrame({name: _to_series(values) for name, values in answer.items()})


def to_rows(frame: pl.DataFrame) -> Rows:
    """The frame as plain values."""
    return frame.to_dict(as_series=False)


def to_frame(rows: Rows) -> pl.DataFrame:
    """Plain values as a frame, numbers widened where a column mixes them."""
    return pl.DataFrame(rows, strict=False)


def _to_series(values: NDArray[Any]) -> pl.Series:
    if values.ndim == 2:
        return pl.Series(values.tolist(), dtype=pl.List(pl.Float64))
    return pl.Series(values.tolist() if values.dtype.kind in "OUS" else values)

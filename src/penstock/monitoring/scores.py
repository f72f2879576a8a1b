"""What a model answered in some rows, sketched: predictions and scores, and how its chances turned out."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from penstock.monitoring.sketches import ColumnSketch, sketch_frame
from penstock.stats.sketches.calibration import CalibrationHistogram, calibration_of


class _Answer(Struct, gc=False):
    """The parts of an answer that are sketched; others are not even decoded."""

    prediction: str | int | float | bool | None = None
    score: float | None = None


_read_answer = msgspec.json.Decoder(_Answer).decode


def sketch_answers(rows: pl.DataFrame) -> dict[str, ColumnSketch]:
    """The sketches of `prediction` and `score`, of the rows that were answered; of those that the answers have.

    Args:
        rows: columns `status` and `output` (JSON text).
    """
    answers = [_read_answer(text) for text in _answered(rows)["output"]]
    held = {
        "prediction": pl.Series([answer.prediction for answer in answers], strict=False),
        "score": pl.Series([answer.score for answer in answers], dtype=pl.Float64),
    }
    known = {name: values for name, values in held.items() if values.null_count() < len(values)}
    return sketch_frame(pl.DataFrame(known)).columns


def calibrate_scores(rows: pl.DataFrame, classes: Sequence[Any]) -> CalibrationHistogram | None:
    """How the chances of a binary model turned out; None where it gives none.

    Args:
        rows: columns `status`, `output` and `outcome` (JSON texts; null where nobody knows yet).
        classes: the two labels; the last one is what a score is the chance of.
    """
    answered = _answered(rows)
    answers = [_read_answer(text) for text in answered["output"]]
    if len(classes) != 2 or not any(answer.score is not None for answer in answers):
        return None
    came = {msgspec.json.encode(label).decode(): float(place) for place, label in enumerate(classes)}
    outcomes = np.array([came.get(text or "", np.nan) for text in answered["outcome"]])
    scores = np.array([np.nan if answer.score is None else answer.score for answer in answers])
    known = (scores >= 0) & (scores <= 1)
    return calibration_of(scores[known], outcomes[known])


def _answered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("status") != "error")

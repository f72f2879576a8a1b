"""What a model answered in a window, as arrays that are kept: the estimator is calibrated and tried on them anew."""

import io
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.project.types import Task
from penstock.monitoring.performance import read_outputs
from penstock.predictions.frames import unpack_json
from penstock.registry.format.types import Column
from penstock.stats.arrays import BoolArray, FloatArray, IntArray, cluster_codes

MOST_ROWS = 5_000  # of a window; an estimate from more is hardly any surer
_CODES = 250  # a category is one of so many codes, by its checksum: the same in every window


class AnswerRows(Struct, frozen=True):
    """Answers in the order of event time.

    Attributes:
        outputs: by what a metric may read: prediction, score, probabilities.
        truth: class codes or numbers, shape (n,); NaN where the outcome is not known.
        keys: code of the customer, shape (n,).
        features: the inputs and the prediction as numbers, shape (n, d), where the loss is learned from them.
        is_category: which columns of the features hold codes, shape (d,).
    """

    outputs: dict[str, FloatArray]
    truth: FloatArray
    keys: IntArray
    features: FloatArray | None = None
    is_category: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def labelled(self) -> "AnswerRows":
        """The rows whose outcome is known."""
        return self.take(np.flatnonzero(~np.isnan(self.truth)))

    def take(self, rows: IntArray) -> "AnswerRows":
        """Some of the rows."""
        features = None if self.features is None else self.features[rows]
        outputs = {name: held[rows] for name, held in self.outputs.items()}
        keys = cluster_codes(self.keys[rows])
        return AnswerRows(outputs, self.truth[rows], keys, features, self.is_category)


def reads_inputs(task: Task) -> bool:
    """Whether answers are kept with the inputs they were given to: the errors of numbers are learned from them."""
    return task not in ("binary", "multiclass")


def read_answers(task: Task, frame: pl.DataFrame, classes: Sequence[Any], columns: Sequence[Column]) -> AnswerRows:
    """The rows of a frame that the model answered, at most `MOST_ROWS` of them, evenly spread.

    Args:
        task: of the project: of classes, or of numbers.
        frame: columns `id`, `at`, `key`, `status`, `inputs`, `output` and `outcome`.
        classes: the labels of a classifier, in the order of its codes.
        columns: the inputs of the model.
    """
    answered = frame.filter(pl.col("status") != "error").sort("at", "id")
    if answered.height > MOST_ROWS:
        answered = answered[np.linspace(0, answered.height - 1, MOST_ROWS).astype(np.int64)]
    outputs, truth = read_outputs(task, answered, classes)
    keys = cluster_codes([key or name for key, name in zip(answered["key"], answered["id"], strict=True)])
    if not reads_inputs(task):
        return AnswerRows(outputs, truth, keys)
    features, is_category = encode(unpack_json(answered, "inputs"), columns)
    features = np.column_stack([features, outputs["prediction"]])
    return AnswerRows(outputs, truth, keys, features, np.append(is_category, False))


def encode(inputs: pl.DataFrame, columns: Sequence[Column]) -> tuple[FloatArray, BoolArray]:
    """Input rows as numbers, shape (n, d), and which columns hold codes of categories; the same in every window."""
    held, is_category = [np.zeros((inputs.height, 0))], []
    for column in columns:
        if column.name not in inputs.columns or isinstance(inputs[column.name].dtype, pl.List):
            continue
        is_text = column.type == "string"
        values = inputs[column.name]
        held.append((_code(values) if is_text else _number(values))[:, None])
        is_category.append(is_text)
    return np.hstack(held), np.array(is_category, dtype=np.bool_)


def pack_answers(rows: AnswerRows) -> bytes:
    """The rows as an `.npz` file; equal rows give equal bytes."""
    arrays: dict[str, Any] = {f"outputs.{name}": held.astype(np.float32) for name, held in sorted(rows.outputs.items())}
    arrays |= {"truth": rows.truth, "keys": rows.keys}
    if rows.features is not None and rows.is_category is not None:
        arrays |= {"features": rows.features.astype(np.float32), "is_category": rows.is_category}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack_answers(data: bytes) -> AnswerRows:
    """The rows that `pack_answers` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    outputs = {
        name.removeprefix("outputs."): held.astype(np.float64)
        for name, held in arrays.items()
        if name.startswith("outputs.")
    }
    features = arrays.get("features")
    return AnswerRows(
        outputs,
        arrays["truth"],
        arrays["keys"],
        None if features is None else features.astype(np.float64),
        arrays.get("is_category"),
    )


def join_answers(parts: Sequence[AnswerRows]) -> AnswerRows:
    """The rows of several windows, one after the other; a key of one window is none of another."""
    parts = [part for part in parts if len(part)] or parts[:1]
    first = parts[0]
    names = set.intersection(*(set(part.outputs) for part in parts))
    starts = np.cumsum([0] + [int(part.keys.max(initial=-1)) + 1 for part in parts])
    features = [part.features for part in parts if part.features is not None]
    return AnswerRows(
        {name: np.concatenate([part.outputs[name] for part in parts]) for name in sorted(names)},
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.keys + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate(features) if features else None,
        first.is_category,
    )


def _number(values: pl.Series) -> FloatArray:
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.fill_null(float("nan")).to_numpy().astype(np.float64)


def _code(values: pl.Series) -> FloatArray:
    known = {label: float(zlib.crc32(str(label).encode()) % _CODES) for label in values.drop_nulls().unique()}
    return np.array([known.get(label, float("nan")) for label in values], dtype=np.float64)

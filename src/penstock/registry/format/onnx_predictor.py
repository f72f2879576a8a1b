"""An ONNX model behind the port: onnxruntime and NumPy, without the library that the model was made with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.answers import answer_from, label_array
from penstock.registry.format.golden import Rows, to_rows
from penstock.registry.format.model_files import read_file
from penstock.registry.format.onnx_session import Session
from penstock.registry.format.open import open_frames
from penstock.registry.format.port import Answer
from penstock.registry.format.types import Column, FastForm, Label, ModelInfo

if TYPE_CHECKING:  # slow to load, and not needed for arrays
    import polars as pl

_TEXT = ("string", "category")
_LARGEST = float(np.finfo(np.float32).max)


class OnnxPredictor:
    """A model as ONNX: one matrix of all columns, or an input for each."""

    def __init__(self, session: Session, task: Task, columns: Sequence[Column], classes: tuple[Label, ...]) -> None:
        """Fit columns to inputs.

        Raises:
            InvalidInputError: the model has other inputs.
        """
        self.session = session
        self.columns = tuple(column.name for column in columns)
        self.classes = classes
        self._task = task
        self._labels = label_array(classes)
        self._is_text = [column.type in _TEXT for column in columns]
        self._inputs = list(session.inputs.items())
        self._takes_matrix = takes_matrix(session)
        self._output = session.output
        if self._takes_matrix and session.width not in (None, len(columns)):
            raise InvalidInputError(f"the ONNX model takes {session.width} columns, not {len(columns)}")
        unknown = [] if self._takes_matrix else [name for name in session.inputs if name not in self.columns]
        if unknown:
            raise InvalidInputError(f"the ONNX model takes {unknown[0]!r}, which is no column of the signature")

    def predict_arrays(self, matrix: NDArray[Any]) -> Answer:
        """The columns of the prediction frame for a float matrix of shape (n, columns)."""
        if self._takes_matrix:
            name, dtype = self._inputs[0]
            return self._answer({name: narrow(matrix, dtype)})
        return self._answer(self._feed(list(matrix.T)))

    def predict_rows(self, rows: Rows) -> Rows:
        """The predictions for plain values by column; None is a missing value."""
        columns = [_to_array(rows[name], text) for name, text in zip(self.columns, self._is_text, strict=True)]
        if self._takes_matrix:
            return to_rows(self.predict_arrays(np.stack(columns, axis=1)))
        return to_rows(self._answer(self._feed(columns)))

    def predict(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """The prediction frame."""
        frames = open_frames()
        if not any(self._is_text):
            answered: pl.DataFrame = frames.to_answer(self.predict_arrays(frames.to_matrix(frame)))
        else:
            answered = frames.to_frame(self.predict_rows(frames.to_rows(frame)))
        return answered

    def _feed(self, columns: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What each input takes: its column, of shape (n, 1) or (n,)."""
        known = dict(zip(self.columns, columns, strict=True))
        shapes = self.session.shapes
        return {
            name: narrow(known[name], dtype).reshape((-1, 1) if len(shapes[name]) != 1 else (-1,))
            for name, dtype in self._inputs
        }

    def _answer(self, feed: Mapping[str, NDArray[Any]]) -> Answer:
        return answer_from(to_matrix(self.session.run(self._output, feed)), self._task, self._labels)


def narrow(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The values as an input takes them; those beyond the range of its floats become its largest, not infinite."""
    if dtype is np.float32 and values.dtype == np.float64:
        values = np.clip(values, -_LARGEST, _LARGEST)
    return values.astype(dtype, copy=False)


def takes_matrix(session: Session) -> bool:
    """Whether a model has one input for all columns."""
    return len(session.inputs) == 1 and len(next(iter(session.shapes.values()))) != 1


def to_matrix(output: Any) -> NDArray[Any]:
    """An output as an array; probabilities that stand in a dict for each row go into columns, in order of the class."""
    if isinstance(output, list):
        return np.array([[row[label] for label in sorted(row)] for row in output])
    found: NDArray[Any] = np.asarray(output)
    return found


def open_fast(folder: Path, form: FastForm, info: ModelInfo) -> OnnxPredictor:
    """The fast form of a model directory.

    Raises:
        CorruptDataError: the file is missing, altered or unreadable.
        InvalidInputError: onnxruntime is not installed.
    """
    content = read_file(folder, form.file)
    if blake3(content).hexdigest() != form.digest:
        raise CorruptDataError(f"{form.file} of the model in {folder} was altered", hint="restore the directory")
    return OnnxPredictor(Session(content), info.task, info.signature.inputs, info.classes)


def _to_array(values: Sequence[Any], text: bool) -> NDArray[Any]:
    if text:
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

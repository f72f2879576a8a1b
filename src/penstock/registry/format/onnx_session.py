"""ONNX models in onnxruntime; the one file that loads it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import CorruptDataError, InvalidInputError

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # its wheels report usage otherwise, and look only when they are imported
try:
    import onnxruntime
except ImportError as error:
    raise InvalidInputError(
        "this model needs onnxruntime, which is not installed", hint="pip install 'penstock[onnx]'"
    ) from error

_DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
_FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")
_BY_CLASS = ("seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))")
_ERRORS_ONLY = 3


class Session:
    """A model in onnxruntime, on the one thread of the caller. Safe to call from several threads.

    Attributes:
        inputs: name to NumPy type.
        shapes: name to sizes; None where any will do.
        output: the name of the numbers it computes, behind the labels of a classifier.
    """

    def __init__(self, model: bytes | Path) -> None:
        """Open a model.

        Raises:
            CorruptDataError: onnxruntime cannot read it.
            InvalidInputError: it takes or gives something other than tensors of numbers, booleans or text.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # whoever serves has threads of its own
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        given = str(model) if isinstance(model, Path) else model
        try:
            self._session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has an exception of its own for each way a file is broken
            raise CorruptDataError(f"the ONNX model cannot be read: {_first_line(error)}") from error
        found = self._session.get_inputs()
        strange = next((entry for entry in found if entry.type not in _DTYPES), None)
        if strange is not None or not found:
            what = f"{strange.name!r} as {strange.type}" if strange else "nothing"
            raise InvalidInputError(f"the ONNX model takes {what}, which cannot be served")
        self.inputs: dict[str, Any] = {entry.name: _DTYPES[entry.type] for entry in found}
        self.shapes = {entry.name: _shape(entry.shape) for entry in found}
        given_back = [(entry.name, entry.type) for entry in self._session.get_outputs()]
        numbers = [name for name, kind in given_back if kind in _FLOATS or kind in _BY_CLASS]
        if not numbers:
            raise InvalidInputError(f"the ONNX model gives {given_back}, and no numbers among them")
        self.output = numbers[-1]
        self.labels = next((name for name, kind in given_back if kind in ("tensor(int64)", "tensor(string)")), None)

    @property
    def width(self) -> int | None:
        """The columns of the first input; None where any number will do."""
        shape = next(iter(self.shapes.values()))
        return shape[1] if len(shape) == 2 else None

    def run(self, output: str, feed: Mapping[str, NDArray[Any]]) -> Any:
        """One output for some inputs.

        Raises:
            InvalidInputError: the model refuses the values.
        """
        try:
            return self._session.run([output], feed)[0]
        except Exception as error:  # as above
            raise InvalidInputError(f"the model refuses this input: {_first_line(error)}") from error


def _shape(given: Sequence[object]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in given)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]

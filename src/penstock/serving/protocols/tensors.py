"""Tensors of Open Inference V2 as rows, and output columns as tensors."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.registry.format.types import Column
from penstock.serving.calls import Parameters
from penstock.serving.inputs import MAXIMUM_ROWS, InputDecoder, Rows

DATATYPES = {
    "string": "BYTES",
    "category": "BYTES",
    "datetime": "BYTES",
    "date": "BYTES",
    "long": "INT64",
    "double": "FP64",
    "boolean": "BOOL",
    "string[]": "BYTES",
    "double[]": "FP64",
}
_INTEGERS = frozenset(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
_ACCEPTED = {
    "BYTES": frozenset({"BYTES"}),
    "BOOL": frozenset({"BOOL"}),
    "INT64": _INTEGERS,
    "FP64": _INTEGERS | _FLOATS,
}


Values = list[Any] | NDArray[Any]  # of one tensor, in row-major order
_EXACT = 2.0**53  # integers from here on are not all floats


class TensorParameters(Struct, frozen=True):
    """Where a tensor's values stand, when not in `data`: so many bytes behind the JSON."""

    binary_data_size: int | None = None


class Tensor(Struct, frozen=True):
    """One input tensor."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] = []  # row-major; flat or nested
    parameters: TensorParameters = TensorParameters()


class OutputParameters(Struct, frozen=True):
    """Whether an output is wanted as bytes; None leaves it to the request."""

    binary_data: bool | None = None


class RequestedOutput(Struct, frozen=True):
    """An output that the caller wants."""

    name: str
    parameters: OutputParameters = OutputParameters()


class InferParameters(Parameters, frozen=True, kw_only=True):
    """What a caller may say beside the tensors."""

    binary_data_output: bool = False  # all outputs as bytes, but for those that say otherwise


class InferRequest(Struct, frozen=True):
    """An inference request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: InferParameters = InferParameters()
    outputs: list[RequestedOutput] = field(default_factory=list)


def read_tensors(tensors: Sequence[Tensor], decoder: InputDecoder, apart: Sequence[Values | None] = ()) -> Rows:
    """Rows from a tensor per column, or from one tensor that holds all columns side by side.

    Args:
        tensors: as they were sent.
        decoder: of the model's signature.
        apart: for each tensor its values, where they did not stand in it; numbers as arrays.

    Raises:
        InvalidInputError: a tensor is unknown or missing, has another type or shape, or holds a wrong value.
    """
    if not tensors:
        raise InvalidInputError("inputs: there is no tensor", hint=_hint(decoder), field="inputs")
    arrays = [values for values in apart if isinstance(values, np.ndarray)]
    if decoder.is_numeric and len(arrays) == len(tensors):
        found = _read_arrays(tensors, arrays, decoder)
        if found is not None:
            return found
    if apart:
        tensors = [_fill(tensor, values) for tensor, values in zip(tensors, apart, strict=True)]
    if _is_matrix(tensors, decoder):
        return _read_matrix(tensors[0], decoder)
    columns: dict[str, list[Any]] = {}
    places: dict[str, int] = {}
    for place, tensor in enumerate(tensors):
        column = _find_column(tensor, place, decoder)
        _check_datatype(tensor, f"inputs[{place}]", column)
        columns[tensor.name] = _flatten(tensor, f"inputs[{place}]", (len(tensor.shape) == 2 and tensor.shape[1] == 1))
        places[tensor.name] = place
    count = _same_length(columns, places)
    rows = [{name: values[row] for name, values in columns.items()} for row in range(count)]

    def name_field(row: int, column: str) -> str:
        return f"inputs[{places[column]}].data[{row}]" if column in places else f"inputs.{column}"

    return decoder.read_values(rows, "inputs", name_field)


def _fill(tensor: Tensor, values: Values | None) -> Tensor:
    if values is None:
        return tensor
    return replace(tensor, data=values.tolist() if isinstance(values, np.ndarray) else values)


def _read_arrays(tensors: Sequence[Tensor], arrays: Sequence[NDArray[Any]], decoder: InputDecoder) -> Rows | None:
    """Rows without a look at any single value; None where something does not fit, which is then said by name."""
    if _is_matrix(tensors, decoder):
        if any(tensors[0].datatype not in _ACCEPTED[DATATYPES[column.type]] for column in decoder.columns):
            return None
        width = len(decoder.columns)
        return decoder.read_matrix(
            arrays[0].reshape(-1, width),
            "inputs",
            lambda row, column: f"inputs[0].data[{row * width + decoder.places.get(column, 0)}]",
        )
    named = {tensor.name: place for place, tensor in enumerate(tensors)}
    if named.keys() != decoder.schema.keys() or len(named) != len(tensors):
        return None
    order = [named[column.name] for column in decoder.columns]
    fits = (
        tensors[place].datatype in _ACCEPTED[DATATYPES[column.type]]
        and tensors[place].shape in ([len(arrays[0])], [len(arrays[0]), 1])
        and (arrays[place].dtype.kind == "f" or not (np.abs(arrays[place].astype(np.float64)) >= _EXACT).any())
        for place, column in zip(order, decoder.columns, strict=True)
    )
    if not all(fits):
        return None
    return decoder.read_matrix(
        np.column_stack([arrays[place] for place in order]),
        "inputs",
        lambda row, column: f"inputs[{named.get(column, 0)}].data[{row}]",
    )


def write_tensors(columns: Sequence[Column], outputs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A tensor per column. Lists of unequal length are filled up, with `lengths` among the tensor's parameters."""
    return [_write_tensor(column, [output[column.name] for output in outputs]) for column in columns]


def _write_tensor(column: Column, values: list[Any]) -> dict[str, Any]:
    tensor = {"name": column.name, "datatype": DATATYPES[column.type]}
    if not column.type.endswith("[]"):
        return tensor | {"shape": [len(values)], "data": values}
    width = max(len(value) for value in values)
    filler: Any = "" if column.type == "string[]" else 0.0
    if any(len(value) < width for value in values):
        tensor |= {"parameters": {"lengths": [len(value) for value in values]}}  # type: ignore[dict-item]
    data = [item for value in values for item in [*value, *[filler] * (width - len(value))]]
    return tensor | {"shape": [len(values), width], "data": data}


def _is_matrix(tensors: Sequence[Tensor], decoder: InputDecoder) -> bool:
    alone = len(tensors) == 1 and tensors[0].name not in decoder.schema
    return alone and len(tensors[0].shape) == 2 and tensors[0].shape[1] == len(decoder.columns)


def _read_matrix(tensor: Tensor, decoder: InputDecoder) -> Rows:
    for column in decoder.columns:
        _check_datatype(tensor, "inputs[0]", column)
    names = [column.name for column in decoder.columns]
    flat = _flatten(tensor, "inputs[0]", True)
    width = len(names)
    rows = [dict(zip(names, flat[at : at + width], strict=True)) for at in range(0, len(flat), width)]

    def name_field(row: int, column: str) -> str:
        return f"inputs[0].data[{row * width + _place(names, column)}]"

    return decoder.read_values(rows, "inputs", name_field)


def _place(names: list[str], column: str) -> int:
    return names.index(column) if column in names else 0


def _find_column(tensor: Tensor, place: int, decoder: InputDecoder) -> Column:
    for column in decoder.columns:
        if column.name == tensor.name:
            return column
    raise InvalidInputError(
        f"inputs[{place}]: the model has no input {tensor.name!r}",
        hint=nearest_hint(tensor.name, decoder.schema),
        field=f"inputs[{place}].name",
    )


def _check_datatype(tensor: Tensor, what: str, column: Column) -> None:
    expected = DATATYPES[column.type]
    if tensor.datatype not in _ACCEPTED[expected]:
        raise InvalidInputError(
            f"{what}.datatype: {column.name!r} takes {expected}, not {tensor.datatype!r}", field=f"{what}.datatype"
        )


def _flatten(tensor: Tensor, what: str, two_dimensional: bool) -> list[Any]:
    """The values in row-major order, as many as the shape says."""
    if not tensor.shape or (len(tensor.shape) > 1 and not two_dimensional) or min(tensor.shape) < 0:
        raise InvalidInputError(
            f"{what}.shape: {tensor.shape} does not fit", hint="use [rows] or [rows, 1]", field=f"{what}.shape"
        )
    data = tensor.data
    if len(tensor.shape) == 2 and data and all(isinstance(item, list) for item in data):
        data = [value for item in data for value in item]
    size = math.prod(tensor.shape)
    if size > MAXIMUM_ROWS * max(tensor.shape[1:], default=1) or len(data) != size:
        raise InvalidInputError(
            f"{what}.data: there are {len(data)} values, and the shape {tensor.shape} asks for {size}",
            field=f"{what}.data",
        )
    return data


def _same_length(columns: dict[str, list[Any]], places: dict[str, int]) -> int:
    count = len(next(iter(columns.values())))
    for name, values in columns.items():
        if len(values) != count:
            raise InvalidInputError(
                f"inputs[{places[name]}].shape: {len(values)} rows, and {count} in inputs[0]",
                hint="give every tensor the same number of rows",
                field=f"inputs[{places[name]}].shape",
            )
    return count


def _hint(decoder: InputDecoder) -> str:
    return f"the model takes {', '.join(decoder.schema)}"

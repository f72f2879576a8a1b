"""The columns of a model as an MLmodel file has them; apart from the frames they are checked on, which load slowly."""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from penstock.registry.format.types import Column, ColumnType, Signature

_MLFLOW_TYPES = {"date": "datetime", "category": "string"}  # MLflow knows neither

# What other tools write, by the type that holds its values here.
_KNOWN_TYPES: dict[str, ColumnType] = {name: name for name in get_args(ColumnType)} | {
    "integer": "long",
    "float": "double",
}
_WIDEST = 100_000  # columns that one tensor may have


def to_mlflow(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The columns in the form that stands in an MLmodel file."""
    return [_to_mlflow_type(column.type) | {"name": column.name, "required": column.required} for column in columns]


def from_mlflow(columns: object) -> tuple[Column, ...]:
    """The columns that stand in an MLmodel file; those of other tools as far as they are plain columns or a matrix."""
    if not isinstance(columns, list):
        return ()
    found: list[Column] = []
    for column in columns:
        if isinstance(column, dict) and column.get("type") == "tensor":
            read = _from_tensor(column)
        else:
            plain = _from_mlflow_column(column)
            read = None if plain is None else [plain]
        if read is None:
            return ()
        found += read
    return tuple(found) if len({column.name for column in found}) == len(found) else ()


def read_signature(given: object) -> Signature:
    """The columns of a signature in an MLmodel file, each list of which is JSON in a text."""
    sides: list[tuple[Column, ...]] = []
    for side in ("inputs", "outputs"):
        text = given.get(side) if isinstance(given, dict) else None
        try:
            sides.append(from_mlflow(msgspec.json.decode(text)) if isinstance(text, str) else ())
        except msgspec.DecodeError:
            sides.append(())
    return Signature(*sides)


def _from_tensor(tensor: dict[str, Any]) -> list[Column] | None:
    """The columns of one tensor: itself, where it has a name and is one column, or x0, x1 ... of a matrix."""
    spec = tensor.get("tensor-spec")
    shape = spec.get("shape") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(shape, list) or not shape or shape[0] != -1:
        return None
    kind = _from_dtype(str(spec.get("dtype")))
    name = tensor.get("name")
    if kind is None or len(shape) > 2:
        return None
    width = shape[1] if len(shape) == 2 else 1
    if isinstance(name, str) and width == 1:
        return [Column(name, kind)]
    if name is not None or not isinstance(width, int) or not 0 < width <= _WIDEST:
        return None
    return [Column(f"x{place}", kind, required=False) for place in range(width)]


def _from_dtype(dtype: str) -> ColumnType | None:
    """The type that holds the values of a NumPy type."""
    if dtype.startswith("float"):
        return "double"
    if dtype.startswith(("int", "uint")):
        return "long"
    return {"bool": "boolean", "str": "string", "object": "string"}.get(dtype)  # type: ignore[return-value]


def _from_mlflow_column(column: object) -> Column | None:
    if not isinstance(column, dict) or not isinstance(column.get("name"), str):
        return None
    kind, items = column.get("type"), column.get("items")
    if kind == "array" and isinstance(items, dict):
        kind = f"{items.get('type')}[]"
    known = _KNOWN_TYPES.get(str(kind))
    return None if known is None else Column(column["name"], known, required=column.get("required") is not False)


def _to_mlflow_type(column_type: ColumnType) -> dict[str, Any]:
    if column_type.endswith("[]"):
        return {"type": "array", "items": {"type": column_type.removesuffix("[]")}}
    return {"type": _MLFLOW_TYPES.get(column_type, column_type)}

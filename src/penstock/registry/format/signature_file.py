"""The columns of a model as an MLmodel file has them; apart from the frames they are checked on, which load slowly."""

from collections.abc import Sequence
from typing import Any, get_args

from penstock.registry.format.types import Column, ColumnType

_MLFLOW_TYPES = {"date": "datetime", "category": "string"}  # MLflow knows neither

# What other tools write, by the type that holds its values here.
_KNOWN_TYPES: dict[str, ColumnType] = {name: name for name in get_args(ColumnType)} | {
    "integer": "long",
    "float": "double",
}


def to_mlflow(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The columns in the form that stands in an MLmodel file."""
    return [_to_mlflow_type(column.type) | {"name": column.name, "required": column.required} for column in columns]


def from_mlflow(columns: object) -> tuple[Column, ...]:
    """The columns that stand in an MLmodel file; those of other tools as far as they are plain columns with names."""
    if not isinstance(columns, list):
        return ()
    found = [_from_mlflow_column(column) for column in columns]
    return () if None in found else tuple(column for column in found if column is not None)


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

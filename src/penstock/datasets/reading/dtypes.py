"""Types of columns from their names, as a recorded schema has them."""

import ast
from typing import Any

import polars as pl

from penstock.datasets.types import Schema

_PLAIN = {
    name: getattr(pl, name)()
    for name in (
        *("Int8", "Int16", "Int32", "Int64", "Int128", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64"),
        *("Boolean", "String", "Binary", "Date", "Time", "Null"),
    )
}
_WITH_PARTS = {name: getattr(pl, name) for name in ("Datetime", "Duration", "Decimal", "List", "Array", "Struct")}


def types_of(schema: Schema) -> dict[str, pl.DataType] | None:
    """The types of recorded columns; None where there are none, or one whose name is not known here."""
    try:
        return {column.name: parse_dtype(column.dtype) for column in schema.columns} or None
    except ValueError:
        return None


def parse_dtype(name: str) -> pl.DataType:
    """The type that polars calls so; ValueError when there is none."""
    try:
        found = _build(ast.parse(name, mode="eval").body)
    except (SyntaxError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{name!r} is no type") from error
    if not isinstance(found, pl.DataType):
        raise ValueError(f"{name!r} is no type")
    return found


def _build(node: ast.expr) -> Any:
    match node:
        case ast.Name(name):
            return _PLAIN[name]
        case ast.Call(ast.Name(name), parts, named):
            given = {str(each.arg): _build(each.value) for each in named}
            return _WITH_PARTS[name](*(_build(each) for each in parts), **given)
        case ast.Dict():
            return {_build(key): _build(value) for key, value in zip(node.keys, node.values, strict=True) if key}
        case ast.Tuple() | ast.List():
            return tuple(_build(each) for each in node.elts)
        case ast.Constant():
            return node.value
    raise KeyError(type(node).__name__)

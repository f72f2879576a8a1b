"""Stores results of steps and reads them back: finds the kind of a value, and the file that knows that kind."""

import importlib
import math
from typing import Any, cast

import msgspec

from penstock.core.errors import InvalidInputError
from penstock.pipelines.values.types import StoredValue, ValueKind
from penstock.storage.objects.object_store import ObjectStore

_FILES = {
    "json": "plain",
    "text": "plain",
    "bytes": "plain",
    "frame": "frames",
    "series": "frames",
    "array": "arrays",
    "record": "records",
    "folder": "folders",
    "estimator": "estimators",
    "rows": "rows",
    "booster": "boosters",
}
_LIBRARIES = {
    "polars": "frames",
    "numpy": "arrays",
    "sklearn": "estimators",
    "lightgbm": "boosters",
    "xgboost": "boosters",
    "onnx": "boosters",
}
_KNOWN = (
    "frames of polars, arrays of NumPy, estimators of scikit-learn, LightGBM or XGBoost, ONNX models, ranking models, "
    "numbers, texts, lists and dicts"
)


def store_value(value: Any, objects: ObjectStore, *, where: str) -> StoredValue:
    """Keep a value.

    Args:
        value: what a step returned.
        objects: where its bytes go.
        where: names it in errors, such as "step 'fit' returned".

    Raises:
        InvalidInputError: no kind of value fits, or its kind cannot keep it.
    """
    if isinstance(value, tuple | list | dict) and not is_plain(value):
        return _store_container(value, objects, where)
    file = _file_of(value)
    if file is None:
        raise InvalidInputError(
            f"{where} a value of type {_type_name(value)}, which cannot be kept without running code when it is read",
            hint=f"return {_KNOWN}; a class of your own can offer save(folder) and a class method load(folder)",
        )
    try:
        return _kind(file).write(value, objects)
    except InvalidInputError as error:
        message = f"{where} a {_type_name(value)} that cannot be kept: {error.message}"
        raise InvalidInputError(message, hint=error.hint) from error
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{where} a {_type_name(value)} that cannot be kept: {error}") from error


def load_value(stored: StoredValue, objects: ObjectStore) -> Any:
    """The value again."""
    if stored.kind in _FILES:
        return _kind(_FILES[stored.kind]).read(stored, objects)
    items = [load_value(item, objects) for item in stored.items]
    if stored.kind == "dict":
        return dict(zip(stored.names, items, strict=True))
    return tuple(items) if stored.kind == "tuple" else items


def is_plain(value: Any) -> bool:
    """Whether JSON keeps the value as it is: no tuples, no keys other than texts, nothing infinite."""
    if value is None or isinstance(value, bool | str):
        return True
    if isinstance(value, int | float):
        return type(value) in (int, float) and math.isfinite(value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    return type(value) is list and all(is_plain(item) for item in value)


def _store_container(value: Any, objects: ObjectStore, where: str) -> StoredValue:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InvalidInputError(f"{where} a dict with keys that are no texts", hint="use texts as keys")
        names = tuple(value)
        items = tuple(store_value(item, objects, where=f"{where} under {name!r}") for name, item in value.items())
        return StoredValue(kind="dict", names=names, items=items, about=f"{len(items)} items")
    items = tuple(store_value(item, objects, where=f"{where} at place {i}") for i, item in enumerate(value))
    return StoredValue(kind="tuple" if isinstance(value, tuple) else "list", items=items, about=f"{len(items)} items")


def _file_of(value: Any) -> str | None:
    if isinstance(value, bytes | float) or is_plain(value):
        return "plain"
    if isinstance(value, msgspec.Struct):
        return "records"
    if callable(getattr(value, "save", None)) and callable(getattr(type(value), "load", None)):
        return "folders"
    roots = [base.__module__.partition(".")[0] for base in type(value).__mro__]
    return next((_LIBRARIES[root] for root in roots if root in _LIBRARIES), None)


def _kind(file: str) -> ValueKind:
    # Polars, NumPy and scikit-learn each take a good part of a second to import; a child needs few of them.
    return cast(ValueKind, importlib.import_module(f"penstock.pipelines.values.{file}"))


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")

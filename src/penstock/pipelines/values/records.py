"""Msgspec records, as MessagePack."""

import importlib
from functools import reduce
from typing import Any

import msgspec

from penstock.core.errors import CorruptDataError
from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore


def write(value: msgspec.Struct, objects: ObjectStore) -> StoredValue:
    """Keep a record."""
    content = msgspec.msgpack.encode(value)
    kind = type(value)
    return StoredValue(kind="record", digest=objects.put_bytes(content), type=class_name(kind), about=kind.__name__)


def read(stored: StoredValue, objects: ObjectStore) -> Any:
    """The record again."""
    kind = find_class(stored.type)
    if not issubclass(kind, msgspec.Struct):
        raise CorruptDataError(f"{stored.type!r} is no record")
    return msgspec.msgpack.decode(objects.get_bytes(stored.key), type=kind)


def class_name(kind: type) -> str:
    """Where the class is found again.

    Raises:
        TypeError: it is defined inside a function.
    """
    if "<locals>" in kind.__qualname__:
        raise TypeError("its class is defined inside a function; move it to the top of a module")
    return f"{kind.__module__}:{kind.__qualname__}"


def find_class(name: str) -> type:
    """The class again.

    Raises:
        CorruptDataError: it is gone.
    """
    module, _, place = name.partition(":")
    try:
        found = reduce(getattr, place.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise CorruptDataError(f"the class {name!r} of a stored value is gone", hint="run its step again") from error
    if not isinstance(found, type):
        raise CorruptDataError(f"{name!r} is no class")
    return found

"""Objects that write themselves into a folder: `save(folder)`, and a class method `load(folder)`."""

import tempfile
from pathlib import Path
from typing import Any

from penstock.core.errors import CorruptDataError
from penstock.pipelines.values.records import class_name, find_class
from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore


def write(value: Any, objects: ObjectStore) -> StoredValue:
    """Keep what the object writes."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        value.save(Path(folder))
        tree = objects.put_tree(Path(folder))
    kind = type(value)
    return StoredValue(kind="folder", digest=tree, type=class_name(kind), about=kind.__name__)


def read(stored: StoredValue, objects: ObjectStore) -> Any:
    """The object again, made by its class from the same files."""
    kind = find_class(stored.type)
    load = getattr(kind, "load", None)
    if not callable(load):
        raise CorruptDataError(f"{stored.type!r} has no class method load(folder) any more")
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        target = Path(folder) / "value"
        objects.checkout(stored.key, target)
        return load(target)

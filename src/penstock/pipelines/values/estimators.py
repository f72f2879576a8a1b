"""Scikit-learn estimators, as the files that a model directory holds them in."""

from typing import Any

from penstock.pipelines.values.types import StoredValue
from penstock.registry.format.flavors.skops_file import read_estimator, write_estimator
from penstock.storage.objects.object_store import ObjectStore


def write(value: Any, objects: ObjectStore) -> StoredValue:
    """Keep an estimator."""
    content = write_estimator(value)
    return StoredValue(kind="estimator", digest=objects.put_bytes(content), about=type(value).__name__)


def read(stored: StoredValue, objects: ObjectStore) -> Any:
    """The estimator again."""
    return read_estimator(objects.get_bytes(stored.key))

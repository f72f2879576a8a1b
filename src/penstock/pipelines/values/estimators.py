"""Scikit-learn estimators through skops, which reads them without running code of theirs."""

from typing import Any

import skops.io
from sklearn.base import BaseEstimator

from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore

_TRUSTED = ("sklearn.", "numpy.", "scipy.")


def write(value: Any, objects: ObjectStore) -> StoredValue:
    """Keep an estimator."""
    if not isinstance(value, BaseEstimator):
        raise TypeError("it is no estimator")
    content = skops.io.dumps(value)
    _check_types(content)
    return StoredValue(kind="estimator", digest=objects.put_bytes(content), about=type(value).__name__)


def read(stored: StoredValue, objects: ObjectStore) -> Any:
    """The estimator again."""
    content = objects.get_bytes(stored.key)
    return skops.io.loads(content, trusted=_check_types(content))


def _check_types(content: bytes) -> list[str]:
    unknown: list[str] = skops.io.get_untrusted_types(data=content)
    foreign = [name for name in unknown if not name.startswith(_TRUSTED)]
    if foreign:
        raise TypeError(f"it holds {', '.join(foreign)}, which are no parts of scikit-learn; keep to its own parts")
    return unknown

"""NumPy arrays and scalars, as .npy files without pickles."""

import io
from typing import Any

import numpy as np

from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore


def write(value: Any, objects: ObjectStore) -> StoredValue:
    """Keep an array or a NumPy scalar."""
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError("an array of Python objects; give it a dtype, such as float or str")
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError("only arrays and scalars of NumPy can be kept")
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    about = f"{'x'.join(map(str, array.shape)) or 'scalar'} {array.dtype}"
    return StoredValue(kind="array", digest=objects.put_bytes(buffer.getvalue()), about=about)


def read(stored: StoredValue, objects: ObjectStore) -> Any:
    """The array again; a scalar comes back as a scalar."""
    array = np.load(io.BytesIO(objects.get_bytes(stored.key)), allow_pickle=False)
    return array if array.ndim else array[()]

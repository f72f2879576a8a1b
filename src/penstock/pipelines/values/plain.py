"""Numbers, texts, bytes, and lists and dicts of them."""

import json
from typing import Any

from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore


def write(value: Any, objects: ObjectStore) -> StoredValue:
    """Keep a plain value."""
    if isinstance(value, bytes):
        return StoredValue(kind="bytes", digest=objects.put_bytes(value), about=f"{len(value)} bytes")
    # Python's own JSON keeps NaN, infinities and the order of keys.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return StoredValue(kind="json", digest=objects.put_bytes(text.encode()), about=_about(value))


def read(stored: StoredValue, objects: ObjectStore) -> Any:
    """The value again."""
    content = objects.get_bytes(stored.key)
    return content if stored.kind == "bytes" else json.loads(content)


def _about(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"{len(value)} items"
    text = str(value)
    return text if len(text) <= 60 else f"a text of {len(text)} letters"

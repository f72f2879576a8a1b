"""The keys of blobs: what may be one, for every back end alike, so that none can leave a store."""

import re

from penstock.core.errors import InvalidInputError

_KEY = re.compile(r"[a-z0-9-][a-z0-9.-]*(?:/[a-z0-9-][a-z0-9.-]*)*")
_PREFIX = re.compile(rf"(?:{_KEY.pattern}/?)?")
_KEY_LIMIT = 200  # bytes; ours are some 70, and a file system takes no name above 255

LOOSE_FOLDER = "loose/"


def loose_key(digest: bytes) -> str:
    """The key of an object that stands alone."""
    name = digest.hex()
    return f"{LOOSE_FOLDER}{name[:2]}/{name}"


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        InvalidInputError: no blob may have it.
    """
    if len(key) > _KEY_LIMIT or not _KEY.fullmatch(key):
        raise InvalidInputError(f"{key[:_KEY_LIMIT]!r} is no key of an object store", field="key")
    return key


def check_prefix(prefix: str) -> str:
    """The beginning of a key itself.

    Raises:
        InvalidInputError: no key begins like this.
    """
    if not _PREFIX.fullmatch(prefix):
        raise InvalidInputError(f"{prefix[:_KEY_LIMIT]!r} is no beginning of a key", field="prefix")
    return prefix

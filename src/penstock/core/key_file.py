"""Private keys in files of their own, which nobody but their owner can read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from penstock.core.errors import InvalidInputError
from penstock.core.ids import new_id


def load_or_make_key(path: Path, make: Callable[[], Any], kind: type[Any]) -> Any:
    """The key in a PEM file; made when there is none, by one of several processes that try at once.

    Raises:
        InvalidInputError: the file holds another kind of key.
    """
    if not path.exists():
        pem = make().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        temporary = path.with_suffix(f".{new_id()}")  # a process killed here may have had the same number as this one
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # never replaces the key another process made meanwhile
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(loaded, kind):
        raise InvalidInputError(f"{path} holds no {kind.__name__}", hint="restore it from a backup")
    return loaded

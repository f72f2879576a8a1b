"""Values that stand in no file of ours: a setting names the environment variable or the file that holds them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from penstock.core.errors import InvalidInputError

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


def is_reference(text: str) -> bool:
    """Whether a setting names a place, `env:NAME` or `file:PATH`, instead of being the value."""
    return _REFERENCE.fullmatch(text) is not None


def read_value(text: str, root: Path, environment: Mapping[str, str] = os.environ) -> str:
    """What a setting stands for; read anew each time, so a secret can be changed while the server runs.

    Args:
        text: `env:NAME`, `file:PATH`, or the value itself.
        root: where a relative path begins.
        environment: the variables.

    Raises:
        InvalidInputError: there is nothing at that place; the message names the place and never the value.
    """
    if not is_reference(text):
        return text
    kind, _, name = text.partition(":")
    if kind == "env":
        value = environment.get(name, "").strip()
        if not value:
            raise InvalidInputError(f"the environment variable {name} is not set", hint="set it where the server runs")
        return value
    try:
        value = (root / name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the secret file {name} cannot be read: {type(error).__name__}") from error
    if not value:
        raise InvalidInputError(f"the secret file {name} is empty")
    return value

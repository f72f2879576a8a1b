"""What a model's process says of itself once it is loaded."""

from typing import Any

from msgspec import Struct


class Ready(Struct, frozen=True):
    """The first message of a model's process."""

    info: dict[str, Any]  # a `ModelInfo`
    takes_arrays: bool

"""What goes from the process that wants a sandbox to the one that enters it.

That one runs without any installed package, so this is a dataclass and JSON.
"""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Order:
    """A plan with every path spelled out."""

    argv: list[str]
    env: dict[str, str]
    folder: str
    listable: list[str]  # folders whose names may be read, and no file
    readable: list[str]
    executable: list[str]  # readable too
    forbidden: list[str]
    rlimits: dict[str, int]
    channel: int  # a socket that stays open
    report: int  # a pipe: whether the sandbox holds, or what is missing
    lifeline: int  # a pipe whose end means that whoever asked is gone

    def encode(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def decode(text: str) -> "Order":
        """What `encode` made."""
        return Order(**json.loads(text))

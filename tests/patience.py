"""How long tests wait for what other threads and processes do: so long that a busy machine is no failure."""

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

import httpx

PATIENCE_S = 180.0

T = TypeVar("T")


def wait_until(holds: Callable[[], T], what: str = "it", *, every_s: float = 0.01) -> T:
    """The first true answer of `holds`; a server that does not answer yet is no answer."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if answer := holds():
                return answer
        time.sleep(every_s)
    raise AssertionError(f"{what}: waited {PATIENCE_S} s in vain")

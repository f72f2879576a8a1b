"""Messages as lines of JSON, in a file or on standard output."""

import os
import sys
from pathlib import Path

from penstock.core import codec
from penstock.monitoring.incidents.channels.channel import DeliveryError
from penstock.monitoring.incidents.types import Delivery


class JsonLines:
    """A file that grows by one line a message.

    Args:
        path: of the file; its folder is made when missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, delivery: Delivery) -> None:
        """Send a message; see `Channel`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            with os.fdopen(descriptor, "ab", buffering=0) as file:
                file.write(write_line(delivery))
                os.fsync(file.fileno())
        except OSError as error:
            raise DeliveryError(f"{self._path.name} cannot be written: {error.strerror or error}") from error


class StandardOutput:
    """Standard output of the server, which its log holds."""

    def send(self, delivery: Delivery) -> None:
        """Send a message; see `Channel`."""
        try:
            sys.stdout.write(write_line(delivery).decode())
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise DeliveryError(f"standard output cannot be written: {error}") from error


def write_line(delivery: Delivery) -> bytes:
    """A message as one line; the id tells one that came twice."""
    step = {"id": delivery.id, "step": delivery.step, "at": delivery.created_at}
    return codec.encode({**step, **delivery.message}) + b"\n"

"""What the client has to say to whoever trains, beside their own output."""

import contextlib
import sys


def tell(text: str) -> None:
    """One line on standard error; nothing happens where there is none."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"penstock: {text}\n")
        sys.stderr.flush()

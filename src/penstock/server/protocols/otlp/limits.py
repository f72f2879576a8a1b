"""What is read of one request, and what JSON can keep of the values in it."""

import math
import zlib

from penstock.core.errors import InvalidInputError, TooLargeError

BODY_LIMIT = 32 * 1024 * 1024  # bytes, packed and unpacked
SPAN_LIMIT = 20_000
DEPTH_LIMIT = 24  # of lists and objects within an attribute
_LARGEST = 2**63 - 1


def to_moment_ns(nanoseconds: int) -> int:
    """A moment as far as the database knows any: up to the year 2262."""
    return min(max(nanoseconds, 0), _LARGEST)


def attribute_number(value: float) -> float | str:
    """The number, or its name where JSON has no such number."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def unpack(body: bytes, encoding: str) -> bytes:
    """The body as it was before it was compressed.

    Raises:
        InvalidInputError: the encoding is unknown, or the body is not in it.
        TooLargeError: there is more than is read here.
    """
    windows = {"gzip": (31,), "deflate": (15, -15)}.get(encoding)  # some leave the frame of deflate out
    if encoding in ("", "identity"):
        return body
    if windows is None:
        raise InvalidInputError(f"the encoding {encoding[:80]!r} is not read here", hint="send gzip, deflate or none")
    for window in windows:
        unpacker = zlib.decompressobj(window)
        try:
            unpacked = unpacker.decompress(body, BODY_LIMIT + 1)
        except zlib.error:
            continue
        if len(unpacked) > BODY_LIMIT:
            raise TooLargeError(f"the body is larger than {BODY_LIMIT} bytes", hint="send it in parts")
        if unpacker.eof:
            return unpacked
    raise InvalidInputError(f"the body is not whole, or is not in the encoding {encoding!r}")

"""Bodies that come compressed: `Content-Encoding: gzip` or `deflate`, never more than a bound once unpacked."""

import zlib

from penstock.core.errors import TooLargeError
from penstock.serving.http import BadRequestError, UnsupportedMediaTypeError

_GZIP, _ZLIB = zlib.MAX_WBITS | 16, zlib.MAX_WBITS
_WINDOWS = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": _ZLIB}


def unpack_body(body: bytes, encoding: bytes, limit_bytes: int) -> bytes:
    """The body without its compression.

    Args:
        body: as it came.
        encoding: the `Content-Encoding` header; empty or `identity` for none.
        limit_bytes: of what comes out.

    Raises:
        UnsupportedMediaTypeError: it is compressed in another way.
        BadRequestError: it is damaged or cut.
        TooLargeError: more comes out than the bound allows.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    window = _WINDOWS.get(name)
    if window is None:
        told = encoding.decode("latin-1")
        raise UnsupportedMediaTypeError(f"a body packed as {told!r} is not read here", hint="use gzip or deflate")
    unpacker = zlib.decompressobj(window)
    try:
        content = unpacker.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise BadRequestError(f"the body is not valid {name.decode()}: {error}") from error
    if len(content) > limit_bytes:
        raise TooLargeError(f"the body unpacks to more than {limit_bytes} bytes", hint="send fewer rows at a time")
    if not unpacker.eof:
        raise BadRequestError(f"the body is not valid {name.decode()}: it is cut")
    return content

"""Request bodies of bounded size."""

from starlette.requests import Request

from penstock.core.errors import TooLargeError

LIMIT_BYTES = 32 * 1024 * 1024


async def read_body(request: Request, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """The whole body.

    Raises:
        TooLargeError: it is longer than the limit; no more than the limit was read.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise TooLargeError(f"the body is larger than {limit_bytes} bytes", hint="send it in parts")
        chunks.append(chunk)
    return b"".join(chunks)

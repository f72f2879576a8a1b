"""Request bodies of bounded size."""

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from penstock.core.errors import TooLargeError

LIMIT_BYTES = 32 * 1024 * 1024


async def read_body(receive: Receive, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """The whole body.

    Raises:
        TooLargeError: it is longer than the limit; no more than the limit was read.
        ClientDisconnect: the client went away in the middle.
    """
    chunks, size, is_whole = [], 0, False
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, is_whole = message.get("body", b""), not message.get("more_body", False)
        size += len(chunk)
        if size > limit_bytes:
            raise TooLargeError(f"the body is larger than {limit_bytes} bytes", hint="send it in parts")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)

"""A request's body as a stored file: hashed and written piece by piece, on a thread, as fast as the disk takes it."""

from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest
from penstock.storage.objects.object_store import ObjectStore

_BLOCK_SIZE = 1 << 20  # bytes for which a thread is worth its start


async def receive_file(request: Request, objects: ObjectStore) -> tuple[Digest, int]:
    """Keep the body as a file, whatever its length; its digest and size. A body that is cut leaves nothing behind.

    Raises:
        InvalidInputError: the body is compressed.
        StorageFullError: there is no room.
        ClientDisconnect: the client went away before the body was whole.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise InvalidInputError("a compressed body is not read here", hint="send the file as it is")
    writer = await run_in_threadpool(objects.open_writer)
    try:
        async for block in _blocks(request):
            await run_in_threadpool(writer.write, block)
        return await run_in_threadpool(writer.finish), writer.size
    finally:
        await run_in_threadpool(writer.discard)


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in blocks; the client is read from no faster than they are taken."""
    held: list[bytes] = []
    size = 0
    async for piece in request.stream():
        held.append(piece)
        size += len(piece)
        if size >= _BLOCK_SIZE:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)

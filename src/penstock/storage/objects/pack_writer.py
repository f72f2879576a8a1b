"""Writing packs: the caller fills blocks, a second thread hashes chunks, a third appends what is new to a pack."""

import itertools
import mmap
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.format import BYTES, HEADER_SIZE, digest_of, encode_parts
from penstock.storage.objects.pack import INDEX_MAGIC, PACK_MAGIC, PACK_SIZE, index_key, pack_key
from penstock.storage.objects.pack_builder import make_distinction

BLOCK_SIZE = 8 << 20
_BLOCKS = 4  # one to fill, one to hash, one to append, one that waits

Part = tuple[bytes, int]  # the digest and the length of an object
Result = TypeVar("Result")


class PackWriter:
    """Keeps objects in packs, each once; for one caller at a time.

    A small object is written in place: `room` gives a part of a block, `take` keeps what was put there. The chunks of
    a large file fill blocks of their own: `lend` gives one, `keep_chunks` takes it back. Nothing is safe before `flush`
    has returned. Leave the `with` block, and what was not flushed is gone.

    Args:
        blobs: where packs go.
        knows: whether the store holds an object.
        written: told the name and the index of each pack.
        allows_name: whether a pack may have this name.
        pack_size: bytes after which a pack is full.
        block_size: bytes of a block, unless packs are smaller; up to four are held.
        holds_back: whether no pack is to be seen before `flush`; else a full one is published at once, so that
            whoever starts again after a crash finds it.
    """

    def __init__(
        self,
        blobs: BlobStore,
        *,
        knows: Callable[[bytes], bool],
        written: Callable[[str, bytes], None],
        allows_name: Callable[[str], bool] = lambda name: True,
        pack_size: int = PACK_SIZE,
        block_size: int = BLOCK_SIZE,
        holds_back: bool = False,
    ) -> None:
        self._blobs = blobs
        self._knows = knows
        self._written = written
        self._allows_name = allows_name
        self._pack_size = pack_size
        self._block_size = min(block_size, pack_size)
        self._holds_back = holds_back
        self._new: set[bytes] = set()
        self._block = _Block(memoryview(b""))
        self._free: list[memoryview] = []
        self._lent = 0  # blocks that were made
        self._running: deque[Future[object]] = deque()
        self._thread: ThreadPoolExecutor | None = None
        self._hasher: ThreadPoolExecutor | None = None
        self._packs: list[_OpenPack] = []  # that nobody can see yet

    def room(self, length: int) -> memoryview:
        """A writable part of a block for an object of at most `length` bytes, its header included."""
        block = self._block
        if block.end + length > len(block.buffer):
            self._hand_over()
            block = self._block = _Block(self.lend() if length <= self._block_size else _reserve(length))
        return block.buffer[block.end : block.end + length]

    def take(self, length: int) -> bytes:
        """The digest of the object in the first `length` bytes of the room; it is kept if it is new."""
        block = self._block
        end = block.end + length
        digest = digest_of(block.buffer[block.end : end])
        if self._is_new(digest):
            block.parts.append((digest, length))
            block.end = end
        return digest

    def add(self, header: bytes, payload: Data) -> bytes:
        """The digest of an object that was made elsewhere."""
        length = HEADER_SIZE + len(payload)
        room = self.room(length)
        room[:HEADER_SIZE] = header
        room[HEADER_SIZE:] = payload
        return self.take(length)

    def lend(self) -> memoryview:
        """A block to fill; waits until one is free."""
        while not self._free and self._lent >= _BLOCKS and self._running:
            self._running.popleft().result()
        if self._free:
            return self._free.pop()
        self._lent += 1
        return _reserve(self._block_size)

    def keep_chunks(self, block: memoryview, lengths: list[int]) -> "Future[list[Part]]":
        """Keep the chunks that stand one after the other in a block that was lent; says later which they are."""
        if self._hasher is None:
            self._hasher = ThreadPoolExecutor(1, "pack-hasher")
        hashed = self._hasher.submit(_hash_chunks, block, lengths)
        return self._submit(lambda: self._append_chunks(block, hashed.result()))

    def flush(self) -> None:
        """Write what is held; afterwards every object taken so far is safe."""
        if self._thread is None:
            self._append_block(self._block)  # so little that a thread is not worth its while
            self._block = _Block(memoryview(b""))
        else:
            self._hand_over()
        while self._running:
            self._running.popleft().result()
        for pack in self._packs:
            pack.seal()
        self._publish()

    def discard(self) -> None:
        """Give up what was not flushed."""
        for thread in (self._hasher, self._thread):
            if thread is not None:
                thread.shutdown(cancel_futures=True)
        self._hasher = self._thread = None
        self._running.clear()
        for pack in self._packs:
            pack.discard()
        self._packs = []

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing that was not flushed."""
        self.discard()

    def _is_new(self, digest: bytes) -> bool:
        if digest in self._new or self._knows(digest):
            return False
        self._new.add(digest)
        return True

    def _hand_over(self) -> None:
        block, self._block = self._block, _Block(memoryview(b""))
        if block.buffer:
            self._submit(lambda: self._append_block(block))

    def _submit(self, job: Callable[[], Result]) -> "Future[Result]":
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "pack-writer")
        submitted = self._thread.submit(job)
        self._running.append(submitted)  # type: ignore[arg-type]  # a queue of results of any kind
        return submitted

    def _append_block(self, block: "_Block") -> None:
        if block.parts:
            self._open_pack().append(block.parts, block.buffer[: block.end])
            self._roll_over()
        self._give_back(block.buffer)

    def _append_chunks(self, block: memoryview, parts: list[Part]) -> list[Part]:
        start = 0
        for digest, length in parts:
            if self._is_new(digest):
                chunk = block[start : start + length]
                self._open_pack().append([(digest, HEADER_SIZE + length)], BYTES, chunk)
                self._roll_over()
            start += length
        self._give_back(block)
        return parts

    def _give_back(self, buffer: memoryview) -> None:
        if len(buffer) == self._block_size:
            self._free.append(buffer)

    def _open_pack(self) -> "_OpenPack":
        if not self._packs or self._packs[-1].is_sealed:
            self._packs.append(_OpenPack(self._blobs, self._allows_name))
        return self._packs[-1]

    def _roll_over(self) -> None:
        if self._packs[-1].size < self._pack_size:
            return
        self._packs[-1].seal()
        if not self._holds_back:
            self._publish()

    def _publish(self) -> None:
        while self._packs:
            self._written(*self._packs[0].publish())
            del self._packs[0]


def _hash_chunks(block: memoryview, lengths: list[int]) -> list[Part]:
    """Chunks that stand one after the other, as parts."""
    starts = itertools.accumulate(lengths, initial=0)
    return [
        (digest_of(BYTES, block[start : start + length]), length)
        for start, length in zip(starts, lengths, strict=False)
    ]


class _Block:
    """A part of memory with the objects that stand in it one after the other."""

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self.end = 0
        self.parts: list[Part] = []


class _OpenPack:
    """A pack that grows under a temporary name."""

    def __init__(self, blobs: BlobStore, allows_name: Callable[[str], bool]) -> None:
        self._blobs = blobs
        self._allows_name = allows_name
        self._writer = blobs.open_writer()
        self._parts: list[Part] = []
        self.size = 0
        self.is_sealed = False

    def append(self, parts: list[Part], *pieces: Data) -> None:
        """Add objects, whose bytes stand in the pieces one after the other."""
        for piece in pieces if self._parts else (PACK_MAGIC, *pieces):
            self._writer.append(piece)
            self.size += len(piece)
        self._parts += parts

    def seal(self) -> None:
        """Nothing is added any more; what is there survives a power cut."""
        if not self.is_sealed:
            if not self._allows_name(self._name_index()[0]):
                distinction = make_distinction()
                self.append([(digest_of(distinction), len(distinction))], distinction)
            self._writer.seal()
            self.is_sealed = True

    def publish(self) -> tuple[str, bytes]:
        """Make the pack visible; its name and index."""
        name, index = self._name_index()
        self._writer.publish(pack_key(name))
        self._blobs.put_if_absent(index_key(name), index)
        return name, index

    def _name_index(self) -> tuple[str, bytes]:
        index = INDEX_MAGIC + encode_parts(self._parts)
        return digest_of(index).hex(), index

    def discard(self) -> None:
        """Leave nothing; harmless after `publish`."""
        self._writer.discard()


def _reserve(size: int) -> memoryview:
    """Writable bytes that take no memory, and no time, until they are written: most packs are small."""
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

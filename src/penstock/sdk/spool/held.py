"""Files that wait in the spool: copied there before a call returns, put into the object store before their record."""

import contextlib
import os
import shutil
from pathlib import Path

import msgspec
from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.framing import frame_record
from penstock.core.ids import Digest, new_id
from penstock.sdk.spool.folder import SpoolFolder
from penstock.sdk.spool.reader import Batch
from penstock.storage.objects.folders.shared_files import share_blocks
from penstock.storage.objects.object_store import ObjectStore
from penstock.tracking.deliveries.records import Begin, File, encode_record

_BEGIN, _FILE = 101, 106


class HeldBegin(Begin, frozen=True, array_like=True, tag=_BEGIN):
    """A `Begin` whose source names files of the spool in place of digests."""


class HeldFile(File, frozen=True, array_like=True, tag=_FILE):
    """A `File` that names a file of the spool in place of its digest."""


_decoder = msgspec.msgpack.Decoder(HeldBegin | HeldFile)


def hold_bytes(folder: SpoolFolder, content: bytes) -> str:
    """Keep some bytes in the spool; returns the name they have there."""
    name = new_id()
    (folder.files / name).write_bytes(content)
    return name


def hold_file(folder: SpoolFolder, source: Path) -> tuple[str, int]:
    """Copy a file into the spool; returns the name it has there and its size.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is no ordinary file.
        ConflictError: somebody changed it meanwhile.
    """
    if not source.exists():
        raise NotFoundError(f"there is no file {source}")
    if not source.is_file():
        raise InvalidInputError(f"{source} is no ordinary file")
    name = new_id()
    target = folder.files / name
    try:
        with open(source, "rb") as reading, open(target, "xb") as writing:
            before = os.fstat(reading.fileno())
            try:
                share_blocks(reading.fileno(), writing.fileno())
            except OSError:  # most file systems cannot
                _copy(reading.fileno(), writing.fileno())
            after = os.fstat(reading.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise ConflictError(f"{source} was changed while it was copied", hint="log it when nobody writes to it")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return name, target.stat().st_size


def complete(batch: Batch, folder: SpoolFolder, objects: ObjectStore) -> bytes:
    """The body of a batch as the server takes it: held files are in the object store, and named by their digests."""
    parts, copied = [], 0
    for start, end, payload in _held(batch):
        record = _decoder.decode(payload)
        digests = {name: objects.put_file(folder.files / name) for name in _names(record)}
        parts += [batch.body[copied:start], frame_record(encode_record(_finish(record, digests)))]
        copied = end
    return b"".join([*parts, batch.body[copied:]]) if parts else batch.body


def drop_held(batch: Batch, folder: SpoolFolder) -> None:
    """Remove the files of a batch that was delivered."""
    for _, _, payload in _held(batch):
        for name in _names(_decoder.decode(payload)):
            with contextlib.suppress(OSError):
                (folder.files / name).unlink()


def _held(batch: Batch) -> list[tuple[int, int, bytes]]:
    """The frames that name files of the spool."""
    tag_at = 9  # behind length, checksum and the head of the array
    return [
        (start, end, batch.body[start + 8 : end])
        for start, end in batch.frames
        if end - start > tag_at and batch.body[start + tag_at] in (_BEGIN, _FILE)
    ]


def _names(record: HeldBegin | HeldFile) -> list[str]:
    if isinstance(record, HeldFile):
        return [record.digest]
    return [name for name in (record.source.git_dirty_diff, record.source.environment_lock) if name]


def _finish(record: HeldBegin | HeldFile, digests: dict[str, Digest]) -> Begin | File:
    if isinstance(record, HeldFile):
        return File(record.run_id, record.at, record.path, digests[record.digest], record.size_bytes)
    source = structs.replace(
        record.source,
        git_dirty_diff=digests.get(record.source.git_dirty_diff or ""),
        environment_lock=digests.get(record.source.environment_lock or ""),
    )
    return Begin(record.run_id, record.at, record.experiment, record.name, record.tags, source, record.parent)


def _copy(source: int, target: int) -> None:
    try:
        while os.copy_file_range(source, target, 1 << 30):
            pass
    except OSError:
        os.lseek(source, 0, os.SEEK_SET)
        os.lseek(target, 0, os.SEEK_SET)
        with open(source, "rb", closefd=False) as reading, open(target, "wb", closefd=False) as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)

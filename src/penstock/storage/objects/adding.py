"""Adding files and folders: read in place into a pack, chunk by chunk."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.chunker import Chunker
from penstock.storage.objects.format import (
    BYTES,
    FILE,
    HEADER_SIZE,
    TREE,
    EntryKind,
    TreeEntry,
    check_entry_name,
    encode_parts,
    encode_tree,
    to_digest,
)
from penstock.storage.objects.local import explained
from penstock.storage.objects.pack import PackWriter

DEPTH_LIMIT = 200  # folders within folders
FilePlan: TypeAlias = Path | TreeEntry  # a file to read, or one that is kept already
FolderPlan: TypeAlias = "dict[str, FilePlan | FolderPlan]"


def plan_folder(folder: Path, depth: int = 0) -> FolderPlan:
    """What a folder holds; links to files are followed, links to folders refused.

    Raises:
        NotFoundError: there is no such folder.
        InvalidInputError: it is no folder, holds a name that cannot be stored, or is nested too deep.
    """
    if depth > DEPTH_LIMIT:
        raise InvalidInputError(f"{folder} is nested more than {DEPTH_LIMIT} deep")
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"{folder} is no folder")
    plan: FolderPlan = {}
    with explained(folder), os.scandir(folder) as entries:
        for entry in entries:
            check_entry_name(entry.name)
            path = Path(entry.path)
            if entry.is_symlink() and entry.is_dir():
                raise InvalidInputError(f"{path} is a link to a folder", hint="put the folder itself there")
            plan[entry.name] = plan_folder(path, depth + 1) if entry.is_dir() else path
    return plan


def plan_files(files: Mapping[str, FilePlan]) -> FolderPlan:
    """Files under the paths they shall have in the tree.

    Raises:
        InvalidInputError: a path is unusable, or a file where another needs a folder.
    """
    plan: FolderPlan = {}
    for place, path in files.items():
        *folders, name = [check_entry_name(part) for part in place.split("/")]
        level = plan
        for folder in folders:
            below = level.setdefault(folder, {})
            if not isinstance(below, dict):
                raise InvalidInputError(f"{folder!r} of {place!r} is a file and a folder")
            level = below
        if name in level:
            raise InvalidInputError(f"{place!r} is there twice")
        level[name] = path
    return plan


def add_plan(pack: PackWriter, chunker: Chunker, plan: FolderPlan) -> tuple[Digest, int]:
    """Add a folder with all that is below it; returns its digest and size in bytes."""
    entries = []
    for name, item in sorted(plan.items()):
        if isinstance(item, dict):
            digest, size = add_plan(pack, chunker, item)
            entries.append(TreeEntry(name, EntryKind.FOLDER, size, digest))
        elif isinstance(item, Path):
            entries.append(add_file(pack, chunker, name, item))
        else:
            entries.append(structs.replace(item, name=name))
    return to_digest(pack.add(TREE, encode_tree(entries))), sum(entry.size for entry in entries)


def add_file(pack: PackWriter, chunker: Chunker, name: str, path: Path) -> TreeEntry:
    """Add one file, in chunks.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is no ordinary file.
        ConflictError: somebody changed it meanwhile.
    """
    with explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # opening a pipe must not wait
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise InvalidInputError(f"{path} is no ordinary file")
            digest = _add_content(pack, chunker, descriptor)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ConflictError(f"{path} was changed while it was read", hint="add it again when nobody writes to it")
    kind = EntryKind.EXECUTABLE if before.st_mode & stat.S_IXUSR else EntryKind.FILE
    return TreeEntry(name, kind, before.st_size, to_digest(digest))


def check_file(path: Path) -> None:
    """Refuse a path that is no file, before work begins; NotFoundError or InvalidInputError."""
    if not path.exists():
        raise NotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise InvalidInputError(f"{path} is no ordinary file")


def _add_content(pack: PackWriter, chunker: Chunker, descriptor: int) -> bytes:
    parts: list[tuple[bytes, int]] = []
    offset = 0
    while True:
        room = pack.room(HEADER_SIZE + chunker.largest)
        length = _fill(room[HEADER_SIZE:], descriptor, offset)
        if not length and parts:
            break
        cut = chunker.cut(room[HEADER_SIZE : HEADER_SIZE + length]) if length else 0
        room[:HEADER_SIZE] = BYTES
        parts.append((pack.take(HEADER_SIZE + cut), cut))
        offset += cut
        if length < chunker.largest and cut == length:
            break
    return parts[0][0] if len(parts) == 1 else pack.add(FILE, encode_parts(parts))


def _fill(room: memoryview, descriptor: int, offset: int) -> int:
    """Read into all of the room, or to the end of the file; returns how many bytes."""
    length = 0
    while length < len(room):
        count = os.preadv(descriptor, [room[length:]], offset + length)
        if count == 0:
            break
        length += count
    return length

"""What DVC has in its care becomes trees of the object store, each file checked against its MD5."""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from msgspec import Struct

from penstock.core.ids import Digest
from penstock.datasets.dvc.format import PIECE_SIZE, Hasher, Out, decode_folder, md5_of
from penstock.datasets.dvc.md5_index import Known, Md5Index
from penstock.datasets.dvc.places import Places
from penstock.storage.objects.chunker import ContentChunker
from penstock.storage.objects.cutting import CutFile
from penstock.storage.objects.folders.adding import add_plan, plan_files
from penstock.storage.objects.folders.reading import FileReader
from penstock.storage.objects.format import BYTES, EntryKind, TreeEntry, to_digest
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.pack_writer import PackWriter

_BATCH_FILES, _BATCH_BYTES = 10_000, 1 << 30  # after which what was read is made safe, so that nobody reads it again
Progress = Callable[[int, int], object]  # files and bytes so far


class Missing(Struct, frozen=True):
    """Content that is nowhere, or is not what it should be."""

    path: str
    md5: str
    is_damaged: bool  # it is somewhere, with other content


class TakenOut(Struct, frozen=True):
    """A file or folder of DVC whose content is kept now."""

    out: Out
    tree: Digest  # of a file: a tree with nothing but that file
    files: int
    size: int  # bytes
    read: int  # files that had to be read


class DvcImporter:
    """Takes over the content of a project, file by file; one who starts again goes on where the last one ended.

    Args:
        objects: where it goes.
        places: where it comes from.
        index: says what was taken over before, and is told of more.
        progress: told the files and bytes so far, now and then.
    """

    def __init__(self, objects: ObjectStore, places: Places, index: Md5Index, progress: Progress | None = None) -> None:
        self._objects = objects
        self._places = places
        self._index = index
        self._progress = progress
        self._chunker = ContentChunker()
        self._held: dict[str, Known] = {}  # read, and not safe yet
        self._held_bytes = self._files = self._size = 0

    def take(self, outs: Iterable[Out]) -> tuple[list[TakenOut], list[Missing]]:
        """Keep files and folders; of those that are not whole, say what is missing."""
        taken: list[TakenOut] = []
        missing: list[Missing] = []
        with self._objects.open_pack() as pack:
            for out in outs:
                found = self._take(pack, out)
                if isinstance(found, TakenOut):
                    taken.append(found)
                else:
                    missing += found
            self._make_safe(pack)
        return taken, missing

    def _take(self, pack: PackWriter, out: Out) -> TakenOut | list[Missing]:
        files: dict[str, str] = {"": out.md5}
        if out.is_folder:
            body = self._read_list(out)
            if isinstance(body, Missing):
                return [body]
            files = decode_folder(body)
        found: dict[str, Known] = {}
        missing: list[Missing] = []
        read = 0
        for path, md5 in files.items():
            known = self._recall(md5, out)
            kept = known or self._read(pack, out, path, md5)
            read += known is None
            if isinstance(kept, Missing):
                missing.append(kept)
            else:
                found[path] = kept
        if missing:
            return missing
        digest, size = add_plan(pack, FileReader(pack, self._chunker), plan_files(_to_entries(out, found)))
        return TakenOut(out, to_digest(digest), len(found), size, read)

    def _read_list(self, out: Out) -> bytes | Missing:
        is_there = False
        for stream in self._places.find(out, out.name):
            with stream:
                body = stream.read()
            is_there = True
            if md5_of(body) == out.md5:
                return body
        return Missing(out.path, out.name, is_there)

    def _recall(self, md5: str, out: Out) -> Known | None:
        """What has an MD5 already; the old way of hashing says nothing about the bytes."""
        if out.is_old:
            return None
        held = self._held.get(md5)
        if held is not None:
            return held
        known = self._index.find(md5)
        return known if known is not None and self._objects.has(to_digest(known.digest)) else None

    def _read(self, pack: PackWriter, out: Out, path: str, md5: str) -> Known | Missing:
        is_there = False
        for stream in self._places.find(out, md5, path):
            is_there = True
            hasher = Hasher(is_old=out.is_old)
            with stream:
                digest, size = self._keep(pack, stream, hasher)
            if hasher.has(md5):
                known = Known(hasher.md5, digest, size)
                self._hold(pack, known)
                return known
        return Missing(f"{out.path}/{path}" if path else out.path, md5, is_there)

    def _keep(self, pack: PackWriter, stream: BinaryIO, hasher: Hasher) -> tuple[bytes, int]:
        """Keep what comes, whatever it is."""
        first = _read_piece(stream)
        hasher.update(first)
        if len(first) < PIECE_SIZE <= self._chunker.whole:
            return pack.add(BYTES, first), len(first)
        file = CutFile(pack, self._chunker)
        size = 0
        piece = first
        while piece:
            size += len(piece)
            rest = memoryview(piece)
            while rest:
                room = file.room()
                length = min(len(rest), len(room))
                room[:length] = rest[:length]
                file.advance(length)
                rest = rest[length:]
            piece = _read_piece(stream)
            hasher.update(piece)
        if size <= self._chunker.whole and not file.is_cut:
            return pack.add(BYTES, file.held), size
        return file.finish(), size

    def _hold(self, pack: PackWriter, known: Known) -> None:
        self._held[known.md5] = known
        self._held_bytes += known.size
        self._files += 1
        self._size += known.size
        if self._progress is not None:
            self._progress(self._files, self._size)
        if len(self._held) >= _BATCH_FILES or self._held_bytes >= _BATCH_BYTES:
            self._make_safe(pack)

    def _make_safe(self, pack: PackWriter) -> None:
        pack.flush()
        self._index.add(self._held.values())
        self._held, self._held_bytes = {}, 0


def _read_piece(stream: BinaryIO) -> bytes:
    """As much as DVC reads at a time; less only at the end."""
    piece = stream.read(PIECE_SIZE)
    while piece and len(piece) < PIECE_SIZE:
        more = stream.read(PIECE_SIZE - len(piece))
        if not more:
            break
        piece += more
    return piece


def _to_entries(out: Out, found: dict[str, Known]) -> dict[str, TreeEntry]:
    kind = EntryKind.EXECUTABLE if out.is_executable else EntryKind.FILE
    name = out.path.rpartition("/")[2]
    return {path or name: TreeEntry("", kind, known.size, to_digest(known.digest)) for path, known in found.items()}

"""The object store: bytes, files and folders by the digest of their content, over any blob store."""

import io
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.catalog import PackCatalog
from penstock.storage.objects.chunker import Chunker, ContentChunker
from penstock.storage.objects.folders.adding import Added, FilePlan, Progress, TreeAdder, add_plan, plan_files
from penstock.storage.objects.folders.checkout import write_folder
from penstock.storage.objects.folders.messages import Start
from penstock.storage.objects.folders.readers import Readers
from penstock.storage.objects.folders.reading import FileReader, check_file
from penstock.storage.objects.folders.scanning import DEFAULT_RULES, Rules
from penstock.storage.objects.folders.shared_files import SharedFiles
from penstock.storage.objects.folders.stat_cache import StatCache
from penstock.storage.objects.format import (
    BYTES,
    FILE,
    HEADER_SIZE,
    TREE,
    EntryKind,
    Tree,
    TreeEntry,
    decode_parts,
    decode_tree,
    digest_of,
    parse_digest,
    to_digest,
)
from penstock.storage.objects.guarding.guard import Guard, Reliable
from penstock.storage.objects.guarding.leases import FOLDER as LEASES
from penstock.storage.objects.guarding.leases import Now, WriterLease
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.pack import PACK_SIZE, PackReader, Place, pack_key
from penstock.storage.objects.pack_builder import PackBuilder
from penstock.storage.objects.pack_writer import BLOCK_SIZE, PackWriter
from penstock.storage.objects.reader import open_stream
from penstock.storage.objects.verify import Verifier, VerifyReport
from penstock.storage.objects.writer import ObjectWriter

_PIECE_SIZE = 1 << 20


def _nothing(name: str, index: bytes) -> None:
    pass


class ObjectStore:
    """Keeps bytes, files and folders; the same content is kept once.

    What a `put_` method has returned survives a power cut. What is read is checked against its digest. Safe to use
    from several threads; several processes may use one store.

    Args:
        blobs: where the bytes go.
        chunker: where large files are cut.
        pack_size: bytes of a pack, the unit in which bulk adds are written.
        lease: taken when objects are kept; see `Guard`.
        now: seconds since 1970.
    """

    def __init__(
        self,
        blobs: BlobStore,
        *,
        chunker: Chunker | None = None,
        pack_size: int = PACK_SIZE,
        lease: WriterLease | None = None,
        now: Now = time.time,
    ) -> None:
        self.blobs = blobs
        self._chunker = chunker or ContentChunker()
        self._pack_size = pack_size
        self._catalog = PackCatalog(blobs)
        self._guard = Guard(blobs, self._catalog.refresh, lease=lease, now=now)

    def begin_writing(self) -> None:
        """Say that this process is at work here: what it relies on is not collected before it says what it is for.

        Whatever keeps an object does so by itself; a process that refers to what others keep calls it first.
        """
        self._guard.begin()

    def put_bytes(self, data: Data) -> Digest:
        """Keep some bytes as a file."""
        if len(data) <= self._chunker.whole:
            return self._put_loose(data)
        with self.open_writer() as writer:
            writer.write(data)
            return writer.finish()

    def put_file(self, path: Path) -> Digest:
        """Keep one file.

        Raises:
            NotFoundError: there is no such file.
            ConflictError: somebody changed it meanwhile.
        """
        check_file(path)
        if path.stat().st_size <= self._chunker.whole:
            return self.put_bytes(path.read_bytes())
        with self.open_pack() as pack:
            _, digest = FileReader(pack, self._chunker).read(str(path))
            pack.flush()
        return to_digest(digest)

    def open_writer(self) -> ObjectWriter:
        """Keep one file that arrives in pieces, in constant memory: write the pieces, then `finish`."""
        block_size = 2 * self._chunker.largest
        pack = self.open_pack(lists_loose=False, holds_back=True, block_size=block_size)
        return ObjectWriter(pack, self._chunker, self._put_loose)

    def join(self, files: Sequence[Digest]) -> Digest:
        """Keep files one after the other as a single one; errors as `get_bytes`."""
        with self.open_writer() as writer:
            for file in files:
                with self.open(file) as stream:
                    while piece := stream.read(_PIECE_SIZE):
                        writer.write(piece)
            return writer.finish()

    def put_tree(self, folder: Path) -> Digest:
        """Keep a folder with all that is in it; errors as `add_folder`."""
        return to_digest(self.add_folder(folder).digest)

    def add_folder(
        self,
        folder: Path,
        *,
        rules: Rules = DEFAULT_RULES,
        known: StatCache | None = None,
        found: StatCache | None = None,
        only: str = "",
        progress: Progress | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> Added:
        """Keep a folder with all that is in it.

        Args:
            folder: what is kept.
            only: the name of a file in it, to keep that as if there were no others.
            rules: what it may hold; by default links to files are followed.
            known: what its files looked like when they were kept before; those that still do are not read again.
            found: is told what they look like now.
            progress: told the files and bytes so far, now and then.
            meanwhile: called once, when this process may do something else while others read.

        Raises:
            NotFoundError: there is no such folder.
            InvalidInputError: something in it is no file, or has a name that cannot be stored.
            ConflictError: somebody changed a file meanwhile.
        """
        self._guard.begin()  # before workers look at what is there
        with self.open_pack() as pack, self._open_readers(pack) as readers:
            adder = TreeAdder(pack, readers, rules, progress)
            reliable = Reliable(known or StatCache(), self._knows_all)
            added = adder.add(folder, reliable, StatCache() if found is None else found, only, meanwhile=meanwhile)
            readers.flush()
            pack.flush()
        return added

    def put_files(self, files: Mapping[str, FilePlan]) -> Digest:
        """Keep files as a tree in which each has the path named here, such as `2024/jan.csv`.

        An entry stands for a file that is kept already; it is not read, and its own name is of no account.
        """
        with self.open_pack() as pack:
            digest, _ = add_plan(pack, FileReader(pack, self._chunker), plan_files(files))
            pack.flush()
        return to_digest(digest)

    def open_pack(
        self,
        *,
        written: Callable[[str, bytes], None] = _nothing,
        lists_loose: bool = True,
        holds_back: bool = False,
        block_size: int = BLOCK_SIZE,
    ) -> PackWriter:
        """Keep many objects at once.

        Args:
            written: told the name and the index of each pack.
            lists_loose: whether the loose objects are listed when the first object comes, rather than looked up one
                by one.
            holds_back: see `PackWriter`.
            block_size: see `PackWriter`.
        """
        loose = _Lazily(lambda: {key.rpartition("/")[2] for key in self.blobs.list_keys(LOOSE_FOLDER)})

        def knows(digest: bytes) -> bool:
            if not lists_loose:
                return self._knows(digest)
            return self._knows_packed(digest) or (digest.hex() in loose.get() and self._guard.allows_loose(digest))

        def tell(name: str, index: bytes) -> None:
            self._catalog.add(name, index)
            written(name, index)

        return PackWriter(
            self.blobs,
            knows=knows,
            written=tell,
            allows_name=self._guard.allows_name,
            pack_size=self._pack_size,
            block_size=block_size,
            holds_back=holds_back,
        )

    def _open_readers(self, pack: PackWriter) -> Readers:
        """Who reads a folder; workers need a store and a way to cut that they can open themselves."""
        start = None
        if isinstance(self.blobs, LocalBlobStore) and isinstance(self._chunker, ContentChunker):
            is_empty = all(key.startswith(LEASES) for key in self.blobs.list_keys(""))
            start = Start(os.fsencode(self.blobs.folder), self._pack_size, is_empty)
        return Readers(FileReader(pack, self._chunker), self._catalog.add, start)

    def has(self, digest: Digest) -> bool:
        """Whether an object is there and may be relied on: it is not condemned. It is not read."""
        raw = parse_digest(digest)
        if self._knows(raw):
            return True
        self._catalog.refresh()
        return self._knows_packed(raw)

    def size(self, digest: Digest) -> int:
        """The bytes of a stored file, or of all files of a tree."""
        header, payload = self.read_object(parse_digest(digest))
        if header == TREE:
            return decode_tree(payload).size
        return sum(length for _, length in decode_parts(payload)) if header == FILE else len(payload)

    def get_bytes(self, digest: Digest) -> bytes:
        """A whole file.

        Raises:
            NotFoundError: there is no such object.
            CorruptDataError: its bytes are not what was written.
            InvalidInputError: it is a tree.
        """
        header, payload = self._read_file(digest)
        if header == BYTES:
            return bytes(payload)
        return b"".join(self.read_object(chunk)[1] for chunk, _ in decode_parts(payload))

    def read_range(self, digest: Digest, offset: int, length: int) -> bytes:
        """A part of a file, shorter only where the file ends; errors as `get_bytes`."""
        if offset < 0 or length < 0:
            raise InvalidInputError(f"there is no range of {length} bytes from {offset}")
        with self.open(digest) as stream:
            stream.seek(offset)
            return stream.read(length)

    def open(self, digest: Digest) -> BinaryIO:
        """A file as a seekable stream, read piece by piece; errors as `get_bytes`."""
        header, payload = self._read_file(digest)
        if header == BYTES:
            return io.BytesIO(payload)
        return open_stream(decode_parts(payload), lambda chunk: self.read_object(chunk)[1])

    def get_tree(self, digest: Digest) -> Tree:
        """What a folder holds, one level deep.

        Raises:
            NotFoundError: there is no such object.
            InvalidInputError: it is a file.
        """
        header, payload = self.read_object(parse_digest(digest))
        if header != TREE:
            raise InvalidInputError(f"object {digest} is a file, not a folder")
        return decode_tree(payload)

    def list_files(self, tree: Digest) -> Iterator[tuple[str, TreeEntry]]:
        """Every file below a tree with its path, folder by folder in order of their names."""
        return ((path, entry) for path, entry in self._walk(tree) if entry.kind is not EntryKind.FOLDER)

    def find_file(self, tree: Digest, path: str) -> TreeEntry:
        """The file that lies under a path of a tree; NotFoundError when there is none."""
        *folders, name = path.split("/")
        for folder in folders:
            below = _pick(self.get_tree(tree), folder)
            if below is None or below.kind is not EntryKind.FOLDER:
                raise NotFoundError(f"there is no file {path!r}")
            tree = below.digest
        found = _pick(self.get_tree(tree), name)
        if found is None or found.kind is EntryKind.FOLDER:
            raise NotFoundError(f"there is no file {path!r}")
        return found

    def checkout(
        self,
        tree: Digest,
        target: Path,
        *,
        found: StatCache | None = None,
        shared: SharedFiles | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write a tree to a folder, whole or not at all; after a power cut it may have to be written again.

        Args:
            tree: its digest.
            target: absent, or an empty folder.
            found: is told what the files look like.
            shared: files that other folders have as well; None to write each file.
            progress: told the files and bytes so far, now and then.

        Raises:
            ConflictError: the target is there and not empty.
            NotFoundError, CorruptDataError: something of the tree is not there or not as it was written.
            StorageFullError: there is no room; nothing is left behind.
        """
        cache = StatCache() if found is None else found
        write_folder(self, parse_digest(tree), target, cache, shared=shared, progress=progress)

    def verify(self, roots: Iterable[Digest] = ()) -> VerifyReport:
        """Read every byte again and name each object that is damaged, missing, or known to nothing.

        Args:
            roots: objects that have to be there, as the database refers to them.
        """
        return Verifier(self.blobs, LOOSE_FOLDER).run(roots)

    def _put_loose(self, data: Data, header: bytes = BYTES) -> Digest:
        stored = b"".join((header, data))
        digest = digest_of(stored)
        if not self._knows_packed(digest):
            if self._guard.allows_loose(digest):
                self.blobs.put_if_absent(loose_key(digest), stored)
            else:
                self._put_anew(digest, stored)
        return to_digest(digest)

    def _put_anew(self, digest: bytes, stored: Data) -> None:
        """Keep an object whose own key is condemned."""
        builder = PackBuilder()
        builder.add(digest, stored)
        pack = builder.build(self._guard.allows_name)
        pack.publish(self.blobs)
        self._catalog.add(pack.name, pack.index)

    def _knows(self, digest: bytes) -> bool:
        """Whether an object is there and may be relied on."""
        return self._knows_packed(digest) or (self._guard.allows_loose(digest) and self._has_loose(digest))

    def _knows_all(self, digests: Sequence[bytes]) -> bool:
        """Whether a tree and its files, which were kept here before, are still there and may be relied on."""
        if self._guard.allows_everything:
            return self._knows(digests[0])  # they were kept together, and nothing was ever deleted
        places = zip(digests, self._catalog.find_many(digests), strict=True)
        return all(
            self._guard.allows(place.pack, digest) if place is not None else self._knows(digest)
            for digest, place in places
        )

    def _knows_packed(self, digest: bytes) -> bool:
        self._guard.begin()
        place = self._catalog.find(digest)
        return place is not None and self._guard.allows(place.pack, digest)

    def _has_loose(self, digest: bytes) -> bool:
        try:
            self.blobs.size(loose_key(digest))
        except NotFoundError:
            return False
        return True

    def find_places(self, digests: Sequence[bytes]) -> list[Place | None]:
        """Where objects stand, as far as they are in packs."""
        return self._catalog.find_many(digests)

    def read_object(
        self, digest: bytes, reader: PackReader | None = None, place: Place | None = None
    ) -> tuple[bytes, memoryview]:
        """An object's header and content, checked.

        Args:
            digest: its digest.
            reader: reads neighbours together; None where they are not asked for.
            place: where it stands, when that is known.

        Raises:
            NotFoundError: there is no such object.
            CorruptDataError: its bytes are not what was written.
        """
        stored = self._find_stored(digest, reader, place)
        if digest_of(stored) != digest:
            raise CorruptDataError(f"object {digest.hex()} is damaged", hint="run 'penstock verify'")
        view = memoryview(stored)
        header = bytes(view[:HEADER_SIZE])
        if header not in (BYTES, FILE, TREE):
            raise CorruptDataError(f"object {digest.hex()} was written by a newer penstock")
        return header, view[HEADER_SIZE:]

    def _find_stored(self, digest: bytes, reader: PackReader | None, place: Place | None) -> Data:
        place = place or self._catalog.find(digest)
        try:
            return self._read_place(digest, place, reader)
        except NotFoundError:
            self._catalog.refresh()  # another process may have packed it since, or moved it to another pack
        place = self._catalog.find(digest)
        try:
            return self._read_place(digest, place, reader)
        except NotFoundError as error:
            raise self._explain_absence(digest, place) from error

    def _read_place(self, digest: bytes, place: Place | None, reader: PackReader | None) -> Data:
        if place is None:
            return self.blobs.get(loose_key(digest))
        if reader is not None:
            return reader.read(place)
        return self.blobs.get_range(pack_key(place.pack), place.offset, place.length)

    def _explain_absence(self, digest: bytes, place: Place | None) -> NotFoundError | CorruptDataError:
        if place is not None:
            problem = f"object {digest.hex()} cannot be read, as pack {place.pack} is missing"
            return CorruptDataError(problem, hint="run 'penstock verify'")
        if self._catalog.damaged:
            packs = ", ".join(sorted(self._catalog.damaged))
            problem = f"object {digest.hex()} is not found, and the index of pack {packs} is damaged"
            return CorruptDataError(problem, hint="run 'penstock verify'")
        return NotFoundError(f"there is no object {digest.hex()}")

    def _read_file(self, digest: Digest) -> tuple[bytes, memoryview]:
        header, payload = self.read_object(parse_digest(digest))
        if header == TREE:
            raise InvalidInputError(f"object {digest} is a folder, not a file")
        return header, payload

    def _walk(self, tree: Digest, prefix: str = "") -> Iterator[tuple[str, TreeEntry]]:
        for entry in self.get_tree(tree).entries:
            yield f"{prefix}{entry.name}", entry
            if entry.kind is EntryKind.FOLDER:
                yield from self._walk(entry.digest, f"{prefix}{entry.name}/")


def _pick(tree: Tree, name: str) -> TreeEntry | None:
    return next((entry for entry in tree.entries if entry.name == name), None)


class _Lazily:
    """A set that is fetched when it is first asked for."""

    def __init__(self, fetch: Callable[[], set[str]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._held: set[str] | None = None

    def get(self) -> set[str]:
        with self._lock:
            if self._held is None:
                self._held = self._fetch()
            return self._held

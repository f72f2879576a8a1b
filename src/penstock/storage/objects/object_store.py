"""The object store: bytes, files and folders are kept by the digest of their content, over any blob store."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.chunker import Chunker, ContentChunker
from penstock.storage.objects.folders.adding import Added, FilePlan, Progress, TreeAdder, add_plan, plan_files
from penstock.storage.objects.folders.messages import Start
from penstock.storage.objects.folders.readers import Readers
from penstock.storage.objects.folders.reading import FileReader, check_file
from penstock.storage.objects.folders.scanning import DEFAULT_RULES, Rules
from penstock.storage.objects.folders.stat_cache import StatCache
from penstock.storage.objects.format import BYTES, digest_of, parse_digest, to_digest
from penstock.storage.objects.guarding.guard import Guard, Reliable
from penstock.storage.objects.guarding.kept import Kept
from penstock.storage.objects.guarding.leases import FOLDER as LEASES
from penstock.storage.objects.guarding.leases import Now, WriterLease
from penstock.storage.objects.keys import loose_key
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.pack import PACK_SIZE
from penstock.storage.objects.pack_builder import PackBuilder
from penstock.storage.objects.pack_writer import BLOCK_SIZE, PackWriter
from penstock.storage.objects.stored import StoredObjects
from penstock.storage.objects.writer import ObjectWriter

_PIECE_SIZE = 1 << 20


def _nothing(name: str, index: bytes) -> None:
    pass


class ObjectStore(StoredObjects):
    """Keeps bytes, files and folders, and reads them; the same content is kept once.

    What a `put_` method has returned survives a power cut. Safe to use from several threads; several processes may use
    one store.

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
        super().__init__(blobs)
        self._chunker = chunker or ContentChunker()
        self._pack_size = pack_size
        self._guard = Guard(blobs, self.catalog.refresh, lease=lease, now=now)
        self._kept = Kept(blobs, self.catalog, self._guard)

    def begin_writing(self) -> None:
        """Say that this process is at work here: what it relies on is not collected before it says what it is for.

        Whatever keeps an object does so by itself; a process that refers to what others keep calls it first.
        """
        self._guard.begin()

    def end_writing(self) -> None:
        """Say that this process has said of all that it kept what it is for; keeping more begins anew."""
        self._guard.end()

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
        with self.open_pack() as pack, self._open_readers(pack) as readers:
            adder = TreeAdder(pack, readers, rules, progress)
            self._guard.begin()  # before workers rely on what is there
            reliable = Reliable(known or StatCache(), self._kept.has_all)
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

        def tell(name: str, index: bytes) -> None:
            self.catalog.add(name, index)
            written(name, index)

        return PackWriter(
            self.blobs,
            knows=self._kept.for_many() if lists_loose else self._kept.has,
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
        return Readers(FileReader(pack, self._chunker), self.catalog.add, start)

    def has(self, digest: Digest) -> bool:
        """Whether an object is there and may be relied on: it is not condemned. It is not read."""
        raw = parse_digest(digest)
        if self._kept.has(raw):
            return True
        self.catalog.refresh()
        return self._kept.has_packed(raw)

    def _put_loose(self, data: Data, header: bytes = BYTES) -> Digest:
        stored = b"".join((header, data))
        digest = digest_of(stored)
        if not self._kept.has_packed(digest):
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
        self.catalog.add(pack.name, pack.index)

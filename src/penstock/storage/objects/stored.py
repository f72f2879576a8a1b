"""What a store holds, to be read: bytes, files and folders by the digest of their content."""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.catalog import PackCatalog
from penstock.storage.objects.folders.adding import Progress
from penstock.storage.objects.folders.checkout import write_folder
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
)
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key
from penstock.storage.objects.pack import PackReader, Place, pack_key
from penstock.storage.objects.reader import open_stream
from penstock.storage.objects.verify import Verifier, VerifyReport


class StoredObjects:
    """Reads what a store holds; everything is checked against its digest. Safe to use from several threads.

    Args:
        blobs: where the bytes are.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self.blobs = blobs
        self.catalog = PackCatalog(blobs)

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

    def find_places(self, digests: Sequence[bytes]) -> list[Place | None]:
        """Where objects stand, as far as they are in packs."""
        return self.catalog.find_many(digests)

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
        place = place or self.catalog.find(digest)
        try:
            return self._read_place(digest, place, reader)
        except NotFoundError:
            self.catalog.refresh()  # another process may have packed it since, or moved it to another pack
        place = self.catalog.find(digest)
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
        if self.catalog.damaged:
            packs = ", ".join(sorted(self.catalog.damaged))
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

"""Re-reading a whole store: what is damaged, what is missing, what does not belong there."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.format import (
    BYTES,
    FILE,
    HEADER_SIZE,
    TREE,
    decode_parts,
    decode_tree,
    digest_of,
    parse_digest,
    to_digest,
)
from penstock.storage.objects.guarding.condemned import Condemned, read_condemned
from penstock.storage.objects.pack import (
    FOLDER,
    INDEX_ENDING,
    PackReader,
    Place,
    check_pack_start,
    decode_index,
    index_key,
    pack_key,
    pack_length,
)

CONDEMNED, LEASES, ROOTS, ASIDE, OWNER = "condemned/", "leases/", "roots/", "aside/", "owner"
KNOWN_FOLDERS = (CONDEMNED, LEASES, ROOTS, ASIDE)  # that hold no objects


class ProblemKind(StrEnum):
    """What may be wrong with a stored object."""

    DAMAGED = "damaged"  # its bytes are not what was written
    MISSING = "missing"  # something needs it, and it is nowhere
    EXTRA = "extra"  # nothing knows it; harmless, as a killed writer may leave such a file


class Problem(Struct, frozen=True):
    """One thing that is wrong with a store."""

    kind: ProblemKind
    name: str  # the object's digest, or the key of a blob that is no object
    key: str  # the blob it stands in, or should
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name} in {self.key}: {self.reason}"


class VerifyReport(Struct, frozen=True):
    """What a store looked like when every byte of it was read again."""

    objects: int
    size: int  # bytes read
    problems: tuple[Problem, ...]

    @property
    def passed(self) -> bool:
        """Nothing is damaged or missing."""
        return all(problem.kind is ProblemKind.EXTRA for problem in self.problems)

    @property
    def damaged(self) -> tuple[Problem, ...]:
        """What is not as it was written."""
        return tuple(problem for problem in self.problems if problem.kind is ProblemKind.DAMAGED)

    @property
    def missing(self) -> tuple[Problem, ...]:
        """What is needed and nowhere."""
        return tuple(problem for problem in self.problems if problem.kind is ProblemKind.MISSING)

    @property
    def extra(self) -> tuple[Problem, ...]:
        """What nothing knows."""
        return tuple(problem for problem in self.problems if problem.kind is ProblemKind.EXTRA)


class Verifier:
    """One pass over a store.

    Args:
        blobs: the store.
        loose_folder: the prefix of loose objects.
    """

    def __init__(self, blobs: BlobStore, loose_folder: str) -> None:
        self._blobs = blobs
        self._loose_folder = loose_folder
        self._problems: list[Problem] = []
        self._good: set[bytes] = set()
        self._condemned = Condemned()
        self._needed: dict[bytes, str] = {}  # by whom, in words
        self._was_packed = False  # perhaps, while we look: an object was loose and is not any more
        self._objects = 0
        self._size = 0

    def run(self, roots: Iterable[Digest] = ()) -> VerifyReport:
        """Read everything; `roots` are objects that must be there, with all that they lead to."""
        for root in roots:
            self._needed.setdefault(parse_digest(root), "a reference in the database")
        self._read_condemned()
        keys = dict.fromkeys(self._blobs.list_keys(""))
        packs = {name for name in map(pack_of, keys) if index_key(name) in keys}
        for key in keys:
            if key.startswith(self._loose_folder):
                self._check_loose(key)
            elif key.startswith(KNOWN_FOLDERS) or key == OWNER:
                continue
            elif pack_of(key) not in packs:
                self._note(ProblemKind.EXTRA, key, key, "no index knows it")
        for name in sorted(packs):
            self._check_pack(name, has_pack=pack_key(name) in keys)
        if self._was_packed:
            now = {pack_of(key) for key in self._blobs.list_keys(FOLDER) if key.endswith(INDEX_ENDING)}
            for name in sorted(now - packs):
                self._check_pack(name, has_pack=True)
        self._check_needed()
        return VerifyReport(self._objects, self._size, tuple(self._problems))

    def _read_condemned(self) -> None:
        try:
            self._condemned = read_condemned(self._blobs)
        except CorruptDataError as error:
            key = max(self._blobs.list_keys(CONDEMNED), default=CONDEMNED)
            self._note(ProblemKind.DAMAGED, key, key, error.message)

    def _note(self, kind: ProblemKind, name: str, key: str, reason: str) -> None:
        self._problems.append(Problem(kind, name, key, reason))

    def _check_loose(self, key: str) -> None:
        name = key.rpartition("/")[2]
        try:
            digest = parse_digest(name)
        except InvalidInputError:
            digest = b""
        if key != f"{self._loose_folder}{name[:2]}/{name}" or not digest:
            self._note(ProblemKind.EXTRA, key, key, "this is no name of an object")
            return
        try:
            stored = self._blobs.get(key)
        except NotFoundError:  # deleted since the listing, or packed
            self._was_packed = True
            return
        self._check_object(digest, key, stored, leads_on=digest not in self._condemned.loose)

    def _check_pack(self, name: str, *, has_pack: bool) -> None:
        key = pack_key(name)
        try:
            placed = decode_index(name, self._blobs.get(index_key(name)))
        except CorruptDataError as error:
            self._note(ProblemKind.DAMAGED, index_key(name), index_key(name), error.message)
            return
        if not has_pack:
            self._note(ProblemKind.MISSING, key, key, "its index is there, the pack is not")
            for digest, _ in placed:
                self._needed.setdefault(digest, f"the index of pack {name}")
            return
        self._check_pack_frame(name, [place for _, place in placed])
        reader = PackReader(self._blobs)
        for digest, place in placed:
            leads_on = self._condemned.since(name, digest) is None
            self._check_object(digest, key, reader.read(place), leads_on=leads_on)

    def _check_pack_frame(self, name: str, places: list[Place]) -> None:
        key = pack_key(name)
        if not check_pack_start(self._blobs, name):
            self._note(ProblemKind.DAMAGED, key, key, "it does not begin as packs do")
        length, wanted = self._blobs.size(key), pack_length(places)
        if length != wanted:
            self._note(ProblemKind.DAMAGED, key, key, f"it has {length} bytes instead of {wanted}")

    def _check_object(self, digest: bytes, key: str, stored: Data, *, leads_on: bool) -> None:
        """Check an object; what a condemned one leads to may be gone before it is itself."""
        self._objects += 1
        self._size += len(stored)
        if digest_of(stored) != digest:
            self._note(ProblemKind.DAMAGED, to_digest(digest), key, "its bytes are not those that were written")
            return
        try:
            self._follow(digest, memoryview(stored), leads_on=leads_on)
        except CorruptDataError as error:
            self._note(ProblemKind.DAMAGED, to_digest(digest), key, error.message)
            return
        self._good.add(digest)

    def _follow(self, digest: bytes, stored: memoryview, *, leads_on: bool) -> None:
        header, payload = bytes(stored[:HEADER_SIZE]), stored[HEADER_SIZE:]
        if header == FILE:
            for chunk, _ in decode_parts(payload):
                if leads_on:
                    self._needed.setdefault(chunk, f"file {to_digest(digest)}")
        elif header == TREE:
            for entry in decode_tree(payload).entries:
                needed_by = f"{entry.name!r} of tree {to_digest(digest)}"
                if leads_on:
                    self._needed.setdefault(parse_digest(entry.digest), needed_by)
        elif header != BYTES:
            raise CorruptDataError(f"this penstock knows no objects that begin with {header!r}")

    def _check_needed(self) -> None:
        for digest, reason in self._needed.items():
            if digest not in self._good:
                self._note(ProblemKind.MISSING, to_digest(digest), self._loose_folder, f"it is needed by {reason}")


def pack_of(key: str) -> str:
    """The name of the pack that a key belongs to, or no name of any pack."""
    name = key.removeprefix(FOLDER).partition(".")[0]
    return name if key in (pack_key(name), index_key(name)) else ""

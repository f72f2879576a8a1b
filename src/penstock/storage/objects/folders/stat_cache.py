"""What files looked like when they were read: one that still does has the content it had."""

import os
import struct
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import msgspec
from blake3 import blake3
from msgspec import Struct

from penstock.core.ids import new_id
from penstock.storage.objects.folders.reading import FileFacts
from penstock.storage.objects.folders.scanning import WIDTH, Listing
from penstock.storage.objects.format import DIGEST_SIZE, digest_of

_MAGIC = b"psstat1\n"
_HEAD = struct.Struct("<II")  # how long the path and the state of a folder are
_TICK_NS = 50_000_000  # a clock of a file system stands still for some milliseconds,
_COARSE_TICK_NS = 2_000_000_000  # and for seconds where it counts only these
_SECOND_NS = 1_000_000_000


class FolderState(Struct, frozen=True, array_like=True):
    """One folder as it was."""

    names: list[str]  # of its files
    stats: bytes  # of each file, one after the other
    digests: bytes  # of each file
    folders: list[str]
    folder_digests: bytes
    links: list[tuple[str, str]]  # names and targets
    tree: bytes  # the digest of the folder itself
    size: int  # bytes of all files below
    moment_ns: int  # when the first file was read: what was changed at or after it may have been changed twice
    newest_ns: int  # the last change of any file

    @classmethod
    def of(
        cls, listing: Listing, facts: Sequence[FileFacts], folders: Sequence[bytes], *, tree: bytes, size: int, now: int
    ) -> Self:
        """The state of a folder that was read.

        Args:
            listing: what is in it.
            facts: of its files.
            folders: the digests of its folders.
            tree: its own digest.
            size: bytes of all files below.
            now: when the first file was read, in nanoseconds.
        """
        return cls(
            names=listing.files,
            stats=array("q", [number for found, _ in facts for number in found]).tobytes(),
            digests=b"".join(digest for _, digest in facts),
            folders=listing.folders,
            folder_digests=b"".join(folders),
            links=listing.links,
            tree=tree,
            size=size,
            moment_ns=now,
            newest_ns=max((found.changed_ns for found, _ in facts), default=0),
        )

    def has_same_folders(self, listing: Listing, folders: Sequence[bytes]) -> bool:
        """Whether the folders and links are what they were, given the digests of the folders now."""
        is_alike = (listing.folders, listing.links) == (self.folders, self.links)
        return is_alike and b"".join(folders) == self.folder_digests

    def is_unchanged(self, listing: Listing) -> bool:
        """Whether all files are there, no others, and each as it was; its folders are not compared."""
        if listing.files != self.names or not self._is_settled(self.newest_ns):
            return False
        return listing.stats.tobytes() == self.stats

    def unchanged(self, listing: Listing) -> list[FileFacts | None]:
        """For each file of a listing what it was, if it is that still."""
        digests = [self.digests[start : start + DIGEST_SIZE] for start in range(0, len(self.digests), DIGEST_SIZE)]
        if self.is_unchanged(listing):
            return [(listing.stat(place), digest) for place, digest in enumerate(digests)]
        numbers = array("q", self.stats)
        known = {
            name: (tuple(numbers[start : start + WIDTH]), digest)
            for name, start, digest in zip(self.names, range(0, len(numbers), WIDTH), digests, strict=True)
        }
        facts: list[FileFacts | None] = []
        for place, name in enumerate(listing.files):
            found = listing.stat(place)
            was, digest = known.get(name, (None, b""))
            is_same = was == found and self._is_settled(found.changed_ns)
            facts.append((found, digest) if is_same else None)
        return facts

    def _is_settled(self, changed_ns: int) -> bool:
        return changed_ns < self.moment_ns - _tick_ns(changed_ns)


class StatCache:
    """The states of a folder and of all below it, by their paths from it.

    It may be lost at any time: then files are read again. `load` gives an empty one where the file is not whole.
    """

    def __init__(self) -> None:
        self._states: dict[str, bytes | memoryview] = {}  # encoded, as there may be a million files

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote; empty where it did not, or not to its end."""
        cache = cls()
        try:
            body = file.read_bytes()
        except OSError:
            return cache
        start = len(_MAGIC) + DIGEST_SIZE
        rest = memoryview(body)[start:]
        if not body.startswith(_MAGIC) or body[len(_MAGIC) : start] != digest_of(rest):
            return cache
        while rest:
            path_size, state_size = _HEAD.unpack(rest[: _HEAD.size])
            end = _HEAD.size + path_size
            cache._states[str(rest[_HEAD.size : end], "utf-8")] = rest[end : end + state_size]
            rest = rest[end + state_size :]
        return cache

    def save(self, file: Path) -> None:
        """Write all states to a file, in place of what it held; what fails leaves that as it was."""
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{new_id()}.tmp")
        hasher = blake3()
        try:
            with temporary.open("wb") as out:
                out.write(bytes(len(_MAGIC) + DIGEST_SIZE))
                for path, state in self._states.items():
                    name = path.encode()
                    frame = b"".join((_HEAD.pack(len(name), len(state)), name, state))
                    hasher.update(frame)
                    out.write(frame)
                out.seek(0)
                out.write(_MAGIC + hasher.digest())
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)

    def find(self, path: str) -> FolderState | None:
        """The state of a folder, when there is one."""
        state = self._states.get(path)
        return None if state is None else _states.decode(state)

    def add(self, path: str, state: FolderState) -> None:
        """Remember a folder."""
        self._states[path] = msgspec.msgpack.encode(state)

    def __iter__(self) -> Iterator[str]:
        """The paths of all folders."""
        return iter(self._states)


def wait_until_settled(changed_ns: Iterable[int]) -> None:
    """Wait until none of these changes could be followed by another one that looks the same."""
    newest = max(changed_ns, default=0)
    rest = newest + _tick_ns(newest) + 1 - time.time_ns()
    time.sleep(min(max(0, rest), _COARSE_TICK_NS) / _SECOND_NS)  # a clock that was set back is not waited for


def _tick_ns(changed_ns: int) -> int:
    return _TICK_NS if changed_ns % _SECOND_NS else _COARSE_TICK_NS


_states = msgspec.msgpack.Decoder(FolderState)

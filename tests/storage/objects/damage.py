"""Damages to the files of a store, of every kind and to every kind of object, as a seed says."""

import random
from pathlib import Path

from msgspec import Struct

from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.pack import decode_index, index_key, pack_key
from storage.objects.small_chunks import FixedChunker

WAYS = ("flip", "flip many", "truncate", "empty", "grow", "zero a part", "zero", "swap", "replace", "delete")


class Damage(Struct, frozen=True):
    """What was done to which file, and to which object in it."""

    way: str
    path: str  # below the store's folder
    what: str  # loose, index, frame, or the kind of object in a pack
    others: tuple[str, ...] = ()  # files that it was swapped with


class Patient:
    """A store with objects of every kind, all of them needed, that is damaged and brought back to what it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "store"
        source = folder / "in"
        chance = random.Random(7)
        for number in range(9):
            path = source / f"d{number % 3}" / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chance.randbytes(40 + 90 * (number % 4)))
        store = self.open()
        self.roots = [store.put_tree(source), store.put_bytes(b"alone"), store.put_bytes(b"lonely" * 9)]
        self.whole = {path: path.read_bytes() for path in self.files()}

    def open(self) -> ObjectStore:
        return ObjectStore(LocalBlobStore(self.folder), chunker=FixedChunker(64), pack_size=500)

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def restore(self) -> None:
        """Bring every file back to what it was."""
        for path in self.files():
            if path not in self.whole:
                path.unlink()
        for path, data in self.whole.items():
            if not path.exists() or path.read_bytes() != data:
                self.write(path, data)

    def undo(self, damage: Damage) -> None:
        """Bring the files of one damage back to what they were."""
        for name in (damage.path, *damage.others):
            self.write(self.folder / name, self.whole[self.folder / name])

    def write(self, path: Path, data: bytes) -> None:
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def damage(self, chance: random.Random) -> Damage:
        """Do one damage to one file; never one that changes nothing."""
        paths = list(self.whole)
        while True:
            way, path = chance.choice(WAYS), chance.choice(paths)
            good = self.whole[path]
            offset = chance.randrange(len(good))
            if way in ("swap", "replace"):
                other = chance.choice([each for each in paths if each.suffix == path.suffix and each != path] or [path])
                if self.whole[other] == good:
                    continue
                self.write(path, self.whole[other])
                if way == "swap":
                    self.write(other, good)
                return Damage(way, self._name(path), self._what(path, 0), (self._name(other),))
            if way == "delete":
                path.unlink()
                return Damage(way, self._name(path), self._what(path, 0))
            bad = spoil(good, way, offset, chance)
            if bad != good:
                self.write(path, bad)
                return Damage(way, self._name(path), self._what(path, offset))

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))

    def _what(self, path: Path, offset: int) -> str:
        """The kind of object at a place of a file."""
        key = self._name(path)
        if key.endswith(".index"):
            return "index"
        if not key.endswith(".pack"):
            return "loose"
        name = key[6:-5]
        for _, place in decode_index(name, self.whole[self.folder / index_key(name)]):
            if place.offset <= offset < place.offset + place.length:
                return self.whole[self.folder / pack_key(name)][place.offset : place.offset + 2].decode()
        return "frame"


def spoil(good: bytes, way: str, offset: int, chance: random.Random) -> bytes:
    """Bytes that are not what they were."""
    match way:
        case "flip":
            return good[:offset] + bytes([good[offset] ^ 1 << chance.randrange(8)]) + good[offset + 1 :]
        case "flip many":
            spoilt = bytearray(good)
            for _ in range(5):
                spoilt[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
            return bytes(spoilt)
        case "truncate":
            return good[:offset]
        case "empty":
            return b""
        case "grow":
            return good + chance.randbytes(1 + chance.randrange(40))
        case "zero a part":
            length = 1 + chance.randrange(len(good) - offset)
            return good[:offset] + bytes(length) + good[offset + length :]
        case _:
            return bytes(len(good))

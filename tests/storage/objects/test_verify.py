"""Whatever happens to a stored file, `verify` names it."""

import contextlib
import os
import random
from pathlib import Path

import pytest

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from storage.objects.small_chunks import FixedChunker

CONTENT = {"a": b"a" * 10, "b": b"b" * 200, "sub/c": bytes(range(90))}


class Filled:
    """A store with loose objects, packs and trees, and what was put into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "o"
        source = folder / "in"
        for name, data in CONTENT.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
        store = self.open()
        self.tree = store.put_tree(source)
        self.single = store.put_bytes(b"on its own")

    def open(self) -> ObjectStore:
        return ObjectStore(LocalBlobStore(self.folder), chunker=FixedChunker(64), pack_size=250)

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def everything(self) -> dict[str, bytes]:
        store = self.open()
        files = {path: store.get_bytes(entry.digest) for path, entry in store.list_files(self.tree)}
        return files | {"single": store.get_bytes(self.single)}


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    return Filled(tmp_path)


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_whole_store_has_no_problems(filled: Filled) -> None:
    report = filled.open().verify([filled.tree, filled.single])
    assert report.passed and report.problems == ()
    assert report.objects == 10 and report.size > 0
    assert len(filled.files()) == 5  # two packs with their indexes, and the loose object


def test_any_changed_byte_is_found_and_never_read_as_if_it_were_right(filled: Filled) -> None:
    expected = filled.everything()
    chance = random.Random(1)
    for path in filled.files():
        original = path.read_bytes()
        for offset in range(len(original)):
            changed = bytearray(original)
            changed[offset] ^= 1 << chance.randrange(8)
            rewrite(path, bytes(changed))
            report = filled.open().verify()
            assert report.damaged, (path, offset)
            if offset % 10 == 0:
                with contextlib.suppress(CorruptDataError):
                    assert filled.everything() == expected
        rewrite(path, original)
    assert filled.open().verify().problems == ()


@pytest.mark.parametrize("kind", ["truncated", "grown", "zeroed", "emptied"])
def test_any_file_of_the_wrong_length_or_emptied_is_found(filled: Filled, kind: str) -> None:
    for path in filled.files():
        original = path.read_bytes()
        damaged = {
            "truncated": original[:-1],
            "grown": original + b"\0",
            "zeroed": bytes(len(original)),
            "emptied": b"",
        }
        rewrite(path, damaged[kind])
        assert not filled.open().verify([filled.tree, filled.single]).passed, path
        rewrite(path, original)


def test_swapped_files_are_found(filled: Filled) -> None:
    packs = [path for path in filled.files() if path.suffix == ".pack"]
    one, two = packs[0].read_bytes(), packs[1].read_bytes()
    rewrite(packs[0], two)
    rewrite(packs[1], one)
    assert {problem.key for problem in filled.open().verify().damaged} >= {f"packs/{path.name}" for path in packs}


def test_any_deleted_file_is_found_and_what_it_held_is_named(filled: Filled) -> None:
    for path in filled.files():
        original = path.read_bytes()
        path.unlink()
        report = filled.open().verify([filled.tree, filled.single])
        assert report.missing, path
        with pytest.raises((NotFoundError, CorruptDataError)):
            filled.everything()
        path.write_bytes(original)


def test_damage_names_the_object_and_where_it_is_needed(filled: Filled) -> None:
    loose = next(path for path in filled.files() if "loose" in str(path))
    rewrite(loose, b"B1something else")
    damaged = filled.open().verify().damaged
    assert [problem.name for problem in damaged] == [filled.single]
    loose.unlink()
    missing = filled.open().verify([filled.single]).missing
    assert "needed by a reference in the database" in str(missing[0])


def test_what_nothing_knows_is_named_and_harmless(filled: Filled) -> None:
    (filled.folder / "notes.txt").write_text("mine")
    (filled.folder / "packs" / ("ab" * 32 + ".pack")).write_bytes(os.urandom(10))
    (filled.folder / "loose" / "readme").write_text("x")
    report = filled.open().verify([filled.tree])
    assert report.passed
    assert sorted(problem.name for problem in report.extra) == [
        "loose/readme",
        "notes.txt",
        "packs/" + "ab" * 32 + ".pack",
    ]


def test_a_damaged_index_does_not_hide_the_other_packs(filled: Filled, tmp_path: Path) -> None:
    indexes = [path for path in filled.files() if path.suffix == ".index"]
    readable = 0
    for path in indexes:
        original = path.read_bytes()
        rewrite(path, original[:-1] + b"\xff")
        store = filled.open()
        assert store.get_bytes(filled.single) == b"on its own"
        with pytest.raises(CorruptDataError, match=r"index of pack .* is damaged"):
            store.get_bytes(Digest("00" * 32))
        try:
            store.get_tree(filled.tree)
            readable += 1
        except CorruptDataError:
            pass
        rewrite(path, original)
    assert readable == len(indexes) - 1

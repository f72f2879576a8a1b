"""Two branches that both add data merge; what both changed in different ways is a conflict, and nothing is guessed."""

import shutil
from pathlib import Path

import pytest

from penstock.datasets.workspace.merging import Merged, merge_pointers
from penstock.datasets.workspace.pointers import Pointer, parse_pointers
from penstock.datasets.workspace.workspace import Workspace
from penstock.storage.objects.folders.scanning import Rules
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

Files = dict[str, str]


class Versions:
    """Makes versions of one folder, and merges them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects: ObjectStore = open_object_store(root / ".penstock" / "objects")
        self._workspace = Workspace(root, lambda: self.objects, root / ".penstock")

    def make(self, files: Files, path: str = "data") -> dict[str, Pointer]:
        shutil.rmtree(self.root / path, ignore_errors=True)
        (self.root / path).mkdir()
        for name, text in files.items():
            (self.root / path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path / name).write_text(text)
        return {path: self._workspace.add(path, Rules()).pointer}

    def merge(self, base: Files | None, ours: Files, theirs: Files) -> Merged:
        return merge_pointers(
            self.objects, self.make(base) if base is not None else {}, *map(self.make, (ours, theirs))
        )

    def read(self, merged: Merged) -> Files:
        tree = parse_pointers(merged.text)["data"].tree
        return {path: self.objects.get_bytes(entry.digest).decode() for path, entry in self.objects.list_files(tree)}


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path)


BASE = {"old": "1", "deep/x": "x", "deep/er/y": "y"}


def test_files_that_both_added_are_both_there(versions: Versions) -> None:
    merged = versions.merge(BASE, BASE | {"deep/mine": "m"}, BASE | {"deep/er/theirs": "t", "other/z": "z"})
    assert merged.conflicts == ()
    assert versions.read(merged) == BASE | {"deep/mine": "m", "deep/er/theirs": "t", "other/z": "z"}
    pointer = parse_pointers(merged.text)["data"]
    assert (pointer.files, pointer.size) == (6, 6)


def test_changes_and_removals_of_one_side_hold(versions: Versions) -> None:
    ours, theirs = {"old": "2", "deep/x": "x"}, {"old": "1", "deep/x": "X", "deep/er/y": "y"}
    merged = versions.merge(BASE, ours, theirs)
    assert merged.conflicts == ()
    assert versions.read(merged) == {"old": "2", "deep/x": "X"}


def test_a_folder_that_both_began_is_one(versions: Versions) -> None:
    assert versions.read(versions.merge(None, {"a": "1", "same": "s"}, {"b": "2", "same": "s"})) == {
        "a": "1",
        "b": "2",
        "same": "s",
    }


def test_a_file_that_both_changed_is_a_conflict_with_both_lines(versions: Versions) -> None:
    merged = versions.merge(BASE, BASE | {"deep/er/y": "ours"}, BASE | {"deep/er/y": "theirs"})
    assert merged.conflicts == ("data/deep/er/y",)
    marks = [line for line in merged.text.splitlines() if not line.startswith("[")]
    assert marks == ["<<<<<<< ours", "=======", ">>>>>>> theirs"]
    assert len(merged.text.splitlines()) == 5


def test_a_file_that_one_removed_and_the_other_changed_is_a_conflict(versions: Versions) -> None:
    merged = versions.merge({"a": "1", "b": "2"}, {"b": "2"}, {"a": "changed", "b": "2"})
    assert merged.conflicts == ("data/a",)


def test_paths_are_merged_one_by_one(versions: Versions) -> None:
    base = versions.make({"x": "1"})
    ours, theirs = base | versions.make({"m": "m"}, "mine"), base | versions.make({"t": "t"}, "theirs")
    merged = merge_pointers(versions.objects, base, ours, theirs)
    assert list(parse_pointers(merged.text)) == ["data", "mine", "theirs"]
    assert (
        merge_pointers(versions.objects, ours, ours, base).text
        == merge_pointers(versions.objects, base, base, base).text
    )


def test_what_is_not_here_cannot_be_merged_file_by_file(versions: Versions, tmp_path: Path) -> None:
    base, ours, theirs = versions.make(BASE), versions.make(BASE | {"a": "a"}), versions.make(BASE | {"b": "b"})
    elsewhere = open_object_store(tmp_path / "elsewhere")
    assert merge_pointers(elsewhere, base, ours, theirs).conflicts == ("data",)

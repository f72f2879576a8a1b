"""A folder's data: added, compared, checked out; nothing that was never added is lost, whatever happens."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core import failpoints
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError, PenstockError, StorageFullError
from penstock.core.ids import Digest
from penstock.datasets.workspace.pointers import FILE_NAME, Pointer, load_pointers, parse_pointers
from penstock.datasets.workspace.workspace import Change, PathStatus, Workspace, find_root, name_of, path_in
from penstock.storage.objects.folders.scanning import Rules
from penstock.storage.objects.open import open_object_store

FILES = {"a.txt": b"a", "sub/b.bin": bytes(range(256)) * 9, "sub/deep/c": b"", "d e\n\U0001f600": b"d"}
CHECK_OUT = """
import sys
from pathlib import Path
from penstock.datasets.workspace.workspace import Workspace
from penstock.storage.objects.open import open_object_store
root = Path(sys.argv[1])
workspace = Workspace(root, lambda: open_object_store(root / ".penstock/objects"), root / ".penstock")
workspace.check_out("data", tree=sys.argv[2])
"""


class Place:
    """A workspace with a folder `data` in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.fill(FILES)
        self.home = root / ".penstock"
        self.workspace = self.open()

    def open(self) -> Workspace:
        return Workspace(self.root, lambda: open_object_store(self.home / "objects"), self.home)

    def fill(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (self.data / name).parent.mkdir(parents=True, exist_ok=True)
            (self.data / name).write_bytes(data)

    def replace(self, files: dict[str, bytes]) -> None:
        shutil.rmtree(self.data)
        self.data.mkdir()
        self.fill(files)

    def add(self, path: str = "data") -> Digest:
        return self.workspace.add(path, Rules("refuse", portable=False)).pointer.tree

    def read(self) -> dict[str, bytes]:
        return {p.relative_to(self.data).as_posix(): p.read_bytes() for p in self.data.rglob("*") if p.is_file()}

    def folders(self) -> set[str]:
        return {p.relative_to(self.data).as_posix() for p in self.data.rglob("*") if p.is_dir()}

    def leftovers(self) -> list[str]:
        return [p.name for p in self.root.iterdir() if p.name.endswith(".tmp")]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


@pytest.fixture(autouse=True)
def _no_failpoints() -> object:
    yield
    failpoints.arm("")


def test_what_was_added_comes_back(place: Place) -> None:
    place.add()
    shutil.rmtree(place.data)
    assert place.workspace.status("data") == PathStatus("data", "missing")
    assert place.workspace.check_out("data") == len(FILES)
    assert place.read() == FILES
    assert place.workspace.status("data") == PathStatus("data", "unchanged")
    assert place.workspace.check_out("data") == 0


def test_every_change_is_named(place: Place) -> None:
    place.add()
    time.sleep(0.06)
    assert place.workspace.status("data").state == "unchanged"
    place.fill({"a.txt": b"A", "new/x": b"x"})
    (place.data / "sub" / "b.bin").unlink()
    found = place.workspace.status("data")
    assert found.state == "changed"
    assert set(found.changes) == {Change("a.txt", "modified"), Change("new/x", "added"), Change("sub/b.bin", "removed")}
    (place.data / "a.txt").unlink()
    place.fill({"a.txt/now a folder": b"x"})
    assert Change("a.txt", "removed") in place.workspace.status("data").changes


def test_adding_again_reads_what_may_have_changed_and_keeps_the_line(place: Place) -> None:
    first = place.workspace.add("data", Rules("refuse"), dataset="pictures")
    assert (first.is_new, first.read) == (True, len(FILES))
    time.sleep(0.06)
    again = place.workspace.add("data", Rules("refuse"))
    again = place.workspace.add("data", Rules("refuse"))
    assert (again.is_new, again.read) == (False, 0)
    place.fill({"a.txt": b"other"})
    changed = place.workspace.add("data", Rules("refuse"))
    assert (changed.is_new, changed.read) == (True, 1)
    assert changed.pointer.dataset == "pictures"
    assert load_pointers(place.root) == {"data": changed.pointer}


def test_a_single_file_is_a_path_as_well(place: Place) -> None:
    file = place.root / "table.csv"
    file.write_bytes(b"1,2\n")
    first = place.add("table.csv")
    assert place.workspace.pointers()["table.csv"].kind == "file"
    file.write_bytes(b"1,2\n3,4\n")
    assert place.workspace.status("table.csv").changes == (Change("", "modified"),)
    with pytest.raises(ConflictError, match=r"table\.csv holds what was never added"):
        place.workspace.check_out("table.csv")
    second = place.add("table.csv")
    assert place.workspace.check_out("table.csv", tree=first) == 1
    assert file.read_bytes() == b"1,2\n"
    assert place.workspace.pointers()["table.csv"].tree == first
    file.unlink()
    assert place.workspace.check_out("table.csv", tree=second) == 1
    assert file.read_bytes() == b"1,2\n3,4\n"
    assert place.leftovers() == []


def test_a_version_replaces_another_in_place(place: Place) -> None:
    first = place.add()
    other = {"a.txt": b"other", "sub": b"a file now", "e/f": b"f"}
    place.replace(other)
    second = place.add()
    untouched = (place.data / "e" / "f").stat().st_ino
    assert place.workspace.check_out("data", tree=first) == 6
    assert place.read() == FILES
    assert place.folders() == {"sub", "sub/deep"}
    place.workspace.check_out("data", tree=second)
    assert place.read() == other
    assert place.workspace.status("data").state == "unchanged"
    assert (place.data / "e" / "f").stat().st_ino != untouched  # it was written anew; what stays is not touched:
    inode = (place.data / "e" / "f").stat().st_ino
    place.fill({"a.txt": b"a"})
    place.add()
    place.workspace.check_out("data", tree=second)
    assert (place.data / "e" / "f").stat().st_ino == inode
    assert place.leftovers() == []


def test_what_was_never_added_is_not_lost_unless_forced(place: Place) -> None:
    place.add()
    place.fill({"a.txt": b"precious", "mine": b"mine"})
    with pytest.raises(ConflictError, match=r"never added: a\.txt, mine; keep it with 'penstock data add'"):
        place.workspace.check_out("data")
    assert place.read() == FILES | {"a.txt": b"precious", "mine": b"mine"}
    place.workspace.check_out("data", is_forced=True)
    assert place.read() == FILES


@pytest.mark.parametrize("point", ["objects.update=enospc", "objects.update=eio"])
def test_a_change_that_fails_at_any_step_leaves_the_old_state(point: str, place: Place) -> None:
    first = place.add()
    other = {"a.txt": b"other", "sub": b"a file now", "e/f": b"f"}
    place.replace(other)
    place.add()
    passing = 0
    while True:
        passing += 1
        failpoints.arm(f"{point}@{passing}")
        try:
            place.workspace.check_out("data", tree=first)
        except PenstockError:
            assert place.read() == other
            assert place.leftovers() == []
            assert place.workspace.status("data").state == "unchanged"
            continue
        break
    assert passing > 8
    assert place.read() == FILES


def test_a_change_that_is_killed_at_any_step_is_undone_by_the_next_command(place: Place) -> None:
    first = place.add()
    other = {"a.txt": b"other", "sub": b"a file now", "e/f": b"f"}
    place.replace(other)
    second = place.add()
    for passing in (1, 4, 7, 9):
        killed = subprocess.run(
            [sys.executable, "-c", CHECK_OUT, str(place.root), first],
            env=dict(os.environ, PENSTOCK_FAILPOINTS=f"objects.update=kill@{passing}"),
            check=False,
        )
        assert killed.returncode == -9
        assert place.workspace.pointers()["data"].tree == second
        place.workspace.check_out("data")
        assert place.read() == other
        assert place.leftovers() == []


def test_folders_can_share_their_files(place: Place) -> None:
    tree = place.add()
    other = Place(place.root.parent / "other")
    other.workspace = Workspace(other.root, lambda: place.workspace.objects, place.home)
    assert other.add() == tree
    for each in (place, other):
        shutil.rmtree(each.data)
        each.workspace.check_out("data", link="hardlink")
        assert each.read() == FILES
        assert each.workspace.status("data").state == "unchanged"
    one, two = (each.data / "sub" / "b.bin" for each in (place, other))
    assert one.stat().st_ino == two.stat().st_ino
    assert one.stat().st_mode & 0o222 == 0

    one.chmod(0o644)
    one.write_bytes(b"damaged")  # whoever insists: nobody else is given this
    assert place.workspace.status("data").changes == (Change("sub/b.bin", "modified"),)
    place.workspace.check_out("data", is_forced=True, link="hardlink")
    assert place.read() == FILES


def test_files_share_blocks_where_the_file_system_can(place: Place) -> None:
    place.add()
    shutil.rmtree(place.data)
    try:
        place.workspace.check_out("data", link="reflink")
    except InvalidInputError as error:
        assert "cannot share blocks between files; use '--link copy'" in str(error)
        assert not place.data.exists()
    else:
        assert place.read() == FILES


@pytest.mark.parametrize("failure", ["enospc", "eio"])
@pytest.mark.parametrize("point", ["objects.append", "objects.fsync", "objects.rename", "objects.renamed"])
def test_an_add_that_fails_at_any_step_changes_nothing(point: str, failure: str, place: Place) -> None:
    before = place.add()
    place.fill({"a.txt": b"other", "large": os.urandom(3 << 20)})
    files = place.read()
    for passing in range(1, 50):
        failpoints.arm(f"{point}={failure}@{passing}")
        try:
            after = place.add()
        except PenstockError as error:
            assert isinstance(error, StorageFullError) == (failure == "enospc")
            assert place.workspace.pointers()["data"].tree == before
            assert place.read() == files
            assert open_object_store(place.home / "objects").verify([before]).passed
            continue
        break
    assert passing > 1
    failpoints.arm("")
    assert open_object_store(place.home / "objects").verify([before, after]).passed
    place.workspace.check_out("data", tree=before)
    place.workspace.check_out("data", tree=after)
    assert place.read() == files


def test_a_first_checkout_that_fails_leaves_nothing(place: Place) -> None:
    place.add()
    shutil.rmtree(place.data)
    failpoints.arm("objects.checkout=enospc@1")
    with pytest.raises(StorageFullError):
        place.workspace.check_out("data")
    assert not place.data.exists()
    assert place.leftovers() == []
    place.workspace.check_out("data")
    assert place.read() == FILES


def test_paths_that_overlap_cannot_both_be_versioned(place: Place) -> None:
    place.add()
    with pytest.raises(InvalidInputError, match="data/sub is a part of data"):
        place.add("data/sub")
    other = Place(place.root.parent / "other")
    other.add("data/sub")
    with pytest.raises(InvalidInputError, match="data/sub is a part of data"):
        other.add("data")
    (other.root / "database").mkdir()
    other.add("database")


def test_two_commands_do_not_change_one_folder_at_once(place: Place) -> None:
    with place.workspace._locked(), pytest.raises(ConflictError, match="another command is changing the data"):
        place.open().add("data", Rules())


def test_only_what_has_a_version_has_a_status(place: Place) -> None:
    with pytest.raises(NotFoundError, match=r"nothing has no version in penstock\.data; penstock data add nothing"):
        place.workspace.status("nothing")
    with pytest.raises(NotFoundError, match="nothing"):
        place.add("nothing")


def test_paths_are_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert path_in(tmp_path, tmp_path / "x" / ".." / "y/") == "y"
    for bad in (tmp_path, tmp_path.parent, tmp_path / "..", tmp_path / ".penstock" / "objects"):
        with pytest.raises(InvalidInputError):
            path_in(tmp_path, bad)


def test_the_root_is_the_nearest_folder_in_use(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_root(deep) == deep
    (tmp_path / FILE_NAME).touch()
    assert find_root(deep) == tmp_path
    (tmp_path / "a" / ".penstock").mkdir()
    assert find_root(deep) == tmp_path / "a"


@pytest.mark.parametrize(
    ("path", "name"), [("data/images", "images"), ("a b.csv", "ab.csv"), ("x/-_y.", "y"), ("x/é", "data")]
)
def test_a_dataset_is_called_after_its_path(path: str, name: str) -> None:
    assert name_of(path) == name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("junk", "line 1 cannot be read"),
        ('["x","folder","ab",1,1,"x"]', "64 hexadecimal digits"),
        ("<<<<<<< ours", "is a merge conflict; keep one line for each path"),
        (f'["x","thing","{"ab" * 32}",1,1,"x"]', "line 1 cannot be read"),
    ],
)
def test_a_line_that_is_none_is_named(line: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        parse_pointers(line)


def test_a_path_that_stands_there_twice_is_named() -> None:
    line = f'["x","folder","{"ab" * 32}",1,1,"x"]'
    with pytest.raises(InvalidInputError, match="line 2 names 'x' a second time"):
        parse_pointers(f"{line}\n{line}\n")
    assert parse_pointers(line) == {"x": Pointer("x", "folder", Digest("ab" * 32), 1, 1, "x")}


names = st.sampled_from(["a", "b", "c", "d"])
trees = st.recursive(st.binary(max_size=3), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)
folders = trees.filter(lambda tree: isinstance(tree, dict))


def write(path: Path, tree: object) -> None:
    if isinstance(tree, bytes):
        path.write_bytes(tree)
        return
    assert isinstance(tree, dict)
    path.mkdir()
    for name, child in tree.items():
        write(path / name, child)


def read(path: Path) -> object:
    return path.read_bytes() if path.is_file() else {child.name: read(child) for child in path.iterdir()}


@settings(max_examples=25, deadline=None)
@given(versions=st.lists(folders, min_size=2, max_size=4), order=st.randoms(use_true_random=False))
def test_any_version_can_follow_any_other(
    versions: list[object], order: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("any"))
    known = []
    for version in versions:
        shutil.rmtree(place.data)
        write(place.data, version)
        known.append((place.add(), version))
    for tree, version in order.sample(known, len(known)):
        place.workspace.check_out("data", tree=tree)
        assert read(place.data) == version
        assert place.workspace.status("data").state == "unchanged"

"""Any tree in, the same tree out: names, permissions, links, empty files and folders."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.storage.objects.folders.scanning import Rules
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

KEEP = Rules(links="keep")


def fits(name: str) -> bool:
    return name not in (".", "..") and len(name.encode()) <= 255


characters = st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"])
names = st.one_of(
    st.text(characters, min_size=1, max_size=40),
    st.sampled_from(
        ["new\nline", "tab\t", "\U0001f600" * 63, "é" * 127, "x" * 255, " ", "-", "~", "a.b.c", "*?[]", "CON"]
    ),
).filter(fits)


files = st.tuples(st.just("file"), st.binary(max_size=200), st.sampled_from([0o644, 0o600, 0o755, 0o700, 0o444]))
links = st.tuples(st.just("link"), st.text(characters, min_size=1, max_size=20).filter(fits))
trees = st.recursive(
    st.one_of(files, links), lambda inner: st.dictionaries(names, inner, max_size=5), max_leaves=15
).filter(lambda node: isinstance(node, dict))


def write(path: Path, node: object) -> None:
    if isinstance(node, dict):
        path.mkdir()
        for name, child in node.items():
            write(path / name, child)
        return
    assert isinstance(node, tuple)
    if node[0] == "link":
        path.symlink_to(node[1])
    else:
        path.write_bytes(node[1])
        path.chmod(node[2])


def read(path: Path) -> object:
    """What a folder holds, as far as a version keeps it: of the mode, whether a file may be executed."""
    if path.is_symlink():
        return ("link", os.readlink(path))
    if path.is_file():
        return ("file", path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
    return {child.name: read(child) for child in path.iterdir()}


@settings(max_examples=80, deadline=None)
@given(tree=trees)
def test_any_tree_comes_back_as_it_was(tree: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    here = tmp_path_factory.mktemp("any")
    write(here / "in", tree)
    store = open_object_store(here / "objects")
    added = store.add_folder(here / "in", rules=KEEP)
    store.checkout(added.digest.hex(), here / "out")  # type: ignore[arg-type]
    assert read(here / "out") == read(here / "in")
    assert store.add_folder(here / "out", rules=KEEP) == added
    assert store.verify([added.digest.hex()]).problems == ()  # type: ignore[list-item]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.mark.parametrize("name", [b"not \xff utf-8", b"back\\slash"])
def test_a_name_that_cannot_be_kept_is_named(name: bytes, store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name)).write_bytes(b"x")
    with pytest.raises(InvalidInputError) as refusal:
        store.add_folder(tmp_path / "in")
    assert repr(os.fsdecode(name)) in refusal.value.message


def test_a_tree_may_be_deep_but_not_without_end(store: ObjectStore, tmp_path: Path) -> None:
    deep = tmp_path / "in"
    for _ in range(150):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x")
    store.checkout(store.put_tree(tmp_path / "in"), tmp_path / "out")
    assert (tmp_path / "out" / deep.relative_to(tmp_path / "in") / "file").read_bytes() == b"x"
    for _ in range(60):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(InvalidInputError, match="nested more than 200 deep"):
        store.put_tree(tmp_path / "in")

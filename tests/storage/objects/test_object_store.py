"""What is put comes back, under one digest per content, over any blob store."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobWriter, Data, HeldBlob
from penstock.storage.objects.format import EntryKind
from penstock.storage.objects.keys import loose_key
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from storage.objects.small_chunks import FixedChunker

CHUNK = 64  # small, so that small data makes large files


class DictBlobStore:
    """A blob store in memory: the object store needs nothing but the port."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put_if_absent(self, key: str, data: Data) -> bool:
        return self.held.setdefault(key, new := bytes(data)) is new

    def open_writer(self) -> BlobWriter:
        return HeldBlob(self)

    def get(self, key: str) -> bytes:
        if key not in self.held:
            raise NotFoundError(f"there is no {key}")
        return self.held[key]

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        return self.get(key)[offset : offset + length]

    def list_keys(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.held if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        self.held.pop(key, None)

    def size(self, key: str) -> int:
        return len(self.get(key))


@pytest.fixture(params=["local", "dict"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    blobs = LocalBlobStore(tmp_path / "objects") if request.param == "local" else DictBlobStore()
    return ObjectStore(blobs, chunker=FixedChunker(CHUNK), pack_size=1024)


def small_store() -> ObjectStore:
    return ObjectStore(DictBlobStore(), chunker=FixedChunker(CHUNK), pack_size=500)


def make_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


FILES = {"a.csv": b"1,2\n" * 3, "deep/er/b.bin": bytes(range(256)) * 20, "deep/empty": b"", "same": b"1,2\n" * 3}

data_of_any_size = st.one_of(
    st.binary(max_size=CHUNK * 2 + 3),
    st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=9), st.integers(0, 200)),
)


@given(data=data_of_any_size)
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    store = small_store()
    digest = store.put_bytes(data)
    assert store.get_bytes(digest) == data
    assert store.size(digest) == len(data)
    assert store.has(digest)


@given(data=data_of_any_size, offset=st.integers(0, 300), length=st.integers(0, 300))
def test_a_range_is_that_part_of_the_whole(data: bytes, offset: int, length: int) -> None:
    store = small_store()
    assert store.read_range(store.put_bytes(data), offset, length) == data[offset : offset + length]


@given(data=data_of_any_size, moves=st.lists(st.tuples(st.integers(0, 2), st.integers(-50, 300), st.integers(0, 90))))
def test_a_stream_behaves_as_one_in_memory(data: bytes, moves: list[tuple[int, int, int]]) -> None:
    store = small_store()
    expected = io.BytesIO(data)
    with store.open(store.put_bytes(data)) as stream:
        for whence, offset, length in moves:
            base = {0: 0, 1: expected.tell(), 2: len(data)}[whence]
            place = max(0, base + offset)
            assert stream.seek(place) == expected.seek(place)
            assert stream.read(length) == expected.read(length)
            assert stream.tell() == expected.tell()


names = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
folders = st.recursive(
    st.binary(max_size=CHUNK * 3),
    lambda inner: st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
).filter(lambda node: isinstance(node, dict))


def write_node(path: Path, node: object) -> None:
    if isinstance(node, bytes):
        path.write_bytes(node)
        return
    assert isinstance(node, dict)
    path.mkdir()
    for name, child in node.items():
        write_node(path / name, child)


def read_node(path: Path) -> object:
    return path.read_bytes() if path.is_file() else {child.name: read_node(child) for child in path.iterdir()}


@settings(max_examples=60, deadline=None)
@given(node=folders)
def test_a_folder_of_any_shape_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, node: object) -> None:
    here = tmp_path_factory.mktemp("round")
    write_node(here / "in", node)
    store = small_store()
    tree = store.put_tree(here / "in")
    store.checkout(tree, here / "out")
    assert read_node(here / "out") == node
    assert store.put_tree(here / "out") == tree
    assert store.verify([tree]).problems == ()


def test_a_file_and_its_bytes_have_one_digest(store: ObjectStore, tmp_path: Path) -> None:
    for size in (0, 1, CHUNK, CHUNK + 1, CHUNK * 5):
        path = tmp_path / f"{size}.bin"
        path.write_bytes(os.urandom(size))
        digest = store.put_file(path)
        assert store.put_bytes(path.read_bytes()) == digest
        entry = store.get_tree(store.put_files({"x": path})).entries[0]
        assert (entry.digest, entry.size) == (digest, size)


def test_content_that_looks_like_a_folder_is_still_a_file(store: ObjectStore, tmp_path: Path) -> None:
    tree = store.put_tree(make_folder(tmp_path / "in", FILES))
    stored = next(store.blobs.get(key) for key in store.blobs.list_keys("packs/") if key.endswith(".pack"))
    for data in (stored, b"T1\x90", b"F1"):
        assert store.get_bytes(store.put_bytes(data)) == data
    with pytest.raises(InvalidInputError, match="is a folder, not a file"):
        store.get_bytes(tree)
    with pytest.raises(InvalidInputError, match="is a file, not a folder"):
        store.get_tree(store.put_bytes(b"T1\x90"))


def test_a_bulk_add_is_a_few_packs_and_single_puts_are_loose(store: ObjectStore, tmp_path: Path) -> None:
    store.put_tree(make_folder(tmp_path / "in", {f"{n:03}": os.urandom(20) for n in range(100)}))
    assert len(list(store.blobs.list_keys("packs/"))) <= 20
    assert not list(store.blobs.list_keys("loose/"))
    store.put_bytes(b"alone")
    assert len(list(store.blobs.list_keys("loose/"))) == 1


def test_the_same_content_is_kept_once(store: ObjectStore, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in", FILES)
    store.put_bytes(FILES["a.csv"])
    tree = store.put_tree(folder)
    before = list(store.blobs.list_keys(""))
    assert store.put_tree(folder) == tree
    assert store.put_bytes(FILES["deep/er/b.bin"]) == dict(store.list_files(tree))["deep/er/b.bin"].digest
    assert list(store.blobs.list_keys("")) == before


def test_a_file_that_grew_shares_its_beginning(store: ObjectStore) -> None:
    data = os.urandom(CHUNK * 10)
    store.put_bytes(data)
    before = sum(store.blobs.size(key) for key in store.blobs.list_keys(""))
    store.put_bytes(data + b"more")
    assert sum(store.blobs.size(key) for key in store.blobs.list_keys("")) - before < 1200  # of it 2 x 36 x 12 in lists


def test_executables_stay_executable_and_links_become_files(store: ObjectStore, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in", {"run.sh": b"echo", "plain": b"x"})
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("plain")
    tree = store.put_tree(folder)
    kinds = {entry.name: entry.kind for entry in store.get_tree(tree).entries}
    assert kinds == {"run.sh": EntryKind.EXECUTABLE, "plain": EntryKind.FILE, "link": EntryKind.FILE}
    store.checkout(tree, tmp_path / "out")
    assert os.access(tmp_path / "out" / "run.sh", os.X_OK)
    assert not (tmp_path / "out" / "link").is_symlink()


def test_files_are_put_under_the_paths_named(store: ObjectStore, tmp_path: Path) -> None:
    make_folder(tmp_path, {"one": b"1", "two": b"2"})
    tree = store.put_files({"x/1": tmp_path / "one", "x/2": tmp_path / "two"})
    assert [path for path, _ in store.list_files(tree)] == ["x/1", "x/2"]
    assert [store.get_bytes(entry.digest) for _, entry in store.list_files(tree)] == [b"1", b"2"]
    for bad in ({"../x": tmp_path / "one"}, {"/x": tmp_path / "one"}, {"a": tmp_path / "one", "a/b": tmp_path / "two"}):
        with pytest.raises(InvalidInputError):
            store.put_files(bad)


def test_a_checkout_refuses_a_target_that_is_taken(store: ObjectStore, tmp_path: Path) -> None:
    tree = store.put_tree(make_folder(tmp_path / "in", FILES))
    (tmp_path / "empty").mkdir()
    store.checkout(tree, tmp_path / "empty")
    assert read_folder(tmp_path / "empty") == FILES
    with pytest.raises(ConflictError, match="is there already; name a new folder"):
        store.checkout(tree, tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConflictError):
        store.checkout(tree, tmp_path / "dangling")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConflictError):
        store.checkout(tree, tmp_path / "file")


def test_a_checkout_that_fails_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    files = {f"{n}": os.urandom(200) for n in range(30)}
    tree = store.put_tree(make_folder(tmp_path / "in", files))
    pack = max(key for key in store.blobs.list_keys("packs/") if key.endswith(".pack"))
    store.blobs.delete(pack)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CorruptDataError, match="run 'penstock verify'"):
        store.checkout(tree, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_not_there_is_named(store: ObjectStore, tmp_path: Path) -> None:
    absent = Digest("ab" * 32)
    assert not store.has(absent)
    for ask in (store.get_bytes, store.get_tree, store.open, store.size):
        with pytest.raises(NotFoundError, match=absent):
            ask(absent)
    with pytest.raises(NotFoundError, match="no file"):
        store.put_file(tmp_path / "none")
    with pytest.raises(NotFoundError, match="none"):
        store.put_tree(tmp_path / "none")
    with pytest.raises(InvalidInputError, match="64 hexadecimal digits"):
        store.get_bytes(Digest("../../etc/passwd"))


def test_what_is_no_file_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe")
    with pytest.raises(InvalidInputError, match="no ordinary file"):
        store.put_tree(tmp_path / "in")
    with pytest.raises(InvalidInputError, match="no ordinary file"):
        store.put_file(tmp_path)
    (tmp_path / "x").write_text("x")
    with pytest.raises(InvalidInputError, match="is no folder"):
        store.put_tree(tmp_path / "x")


def test_a_link_to_a_folder_is_refused_as_it_may_lead_in_a_circle(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    with pytest.raises(InvalidInputError, match="link to a folder"):
        store.put_tree(tmp_path / "in")


def test_another_opening_of_the_store_sees_what_was_added_since(tmp_path: Path) -> None:
    one, other = open_object_store(tmp_path / "o"), open_object_store(f"file://{tmp_path}/o")
    assert other.has(one.put_bytes(b"first"))
    tree = one.put_tree(make_folder(tmp_path / "in", FILES))
    assert other.has(tree)
    assert [entry.name for entry in other.get_tree(tree).entries] == ["a.csv", "deep", "same"]
    with pytest.raises(InvalidInputError, match="no object store"):
        open_object_store("ftp://bucket")


def test_damage_is_refused_on_reading(tmp_path: Path) -> None:
    store = open_object_store(tmp_path / "o")
    digest = store.put_bytes(b"precious")
    path = tmp_path / "o" / loose_key(bytes.fromhex(digest))
    path.chmod(0o644)
    path.write_bytes(b"B1precious?")
    with pytest.raises(CorruptDataError, match=digest):
        store.get_bytes(digest)


def test_threads_may_put_the_same_things_at_once(tmp_path: Path) -> None:
    store = open_object_store(tmp_path / "o")
    folder = make_folder(tmp_path / "in", FILES)
    results: list[tuple[Digest, Digest]] = []
    threads = [
        threading.Thread(target=lambda: results.append((store.put_tree(folder), store.put_bytes(b"x" * 100))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1 and len(results) == 8
    assert store.verify().problems == ()

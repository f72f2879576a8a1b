"""What is written for DVC is, byte by byte, what DVC writes; a second time only what is new is written."""

import os
import stat
from pathlib import Path

import pytest

from datasets.dvc.dvc_world import make_project, md5, write_out
from penstock.core.errors import ConflictError, CorruptDataError, InvalidInputError
from penstock.datasets.dvc.exporting import export_version
from penstock.datasets.dvc.importing import DvcImporter
from penstock.datasets.dvc.md5_index import Md5Index
from penstock.datasets.dvc.places import Places
from penstock.datasets.dvc.project import open_project
from penstock.storage.objects.folders.scanning import Rules
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

FILES = {"a.txt": b"a\r\n", "sub/b.bin": os.urandom(3_000_000), "sub/deep/c": b"", "ü ?.txt": b"x" * 1_048_577}


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.fixture
def index(tmp_path: Path) -> Md5Index:
    return Md5Index(tmp_path / "index")


def add(objects: ObjectStore, folder: Path, files: dict[str, bytes]) -> str:
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return objects.put_tree(folder)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("is_file", [False, True])
def test_the_files_are_those_that_dvc_writes(
    is_file: bool, tmp_path: Path, objects: ObjectStore, index: Md5Index
) -> None:
    files = {"im": b"one\r\nfile"} if is_file else FILES
    tree = add(objects, tmp_path / "f", files)
    done = export_version(objects, tree, tmp_path / "out", "data/im", index, is_file=is_file)
    root = tmp_path / "expected"
    cache = make_project(root)
    write_out(root, "data/im", files["im"] if is_file else files, cache)
    expected = snapshot(root) | {".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n"}
    assert snapshot(tmp_path / "out") == expected
    assert done.written == len(files)
    for file in (tmp_path / "out" / ".dvc" / "cache").rglob("*"):
        assert file.is_dir() or stat.S_IMODE(file.stat().st_mode) == 0o444


def test_a_second_export_writes_only_what_is_new(tmp_path: Path, objects: ObjectStore, index: Md5Index) -> None:
    tree = add(objects, tmp_path / "f", FILES)
    export_version(objects, tree, tmp_path / "out", "im", index, is_file=False)
    again = export_version(objects, tree, tmp_path / "out", "im", Md5Index(tmp_path / "index"), is_file=False)
    assert again.written == 0
    (tmp_path / "f" / "new").write_bytes(b"new")
    changed = objects.put_tree(tmp_path / "f")
    assert export_version(objects, changed, tmp_path / "out", "im", index, is_file=False).written == 1
    key = md5(b"new")
    (tmp_path / "out" / ".dvc" / "cache" / "files" / "md5" / key[:2] / key[2:]).unlink()
    assert export_version(objects, changed, tmp_path / "out", "im", index, is_file=False).written == 1


def test_what_goes_out_comes_back_the_same(tmp_path: Path, objects: ObjectStore, index: Md5Index) -> None:
    tree = add(objects, tmp_path / "f", FILES)
    export_version(objects, tree, tmp_path / "out", "im", index, is_file=False, remote=tmp_path / "remote")
    assert not (tmp_path / "out" / ".dvc" / "cache").exists()
    other = open_object_store(tmp_path / "other")
    project = open_project(tmp_path / "out")
    places = Places(project, str(tmp_path / "remote"))
    (taken,), missing = DvcImporter(other, places, Md5Index(tmp_path / "none")).take(project.outs)
    assert (missing, taken.tree) == ([], tree)


def test_what_dvc_cannot_keep_is_told(tmp_path: Path, objects: ObjectStore, index: Md5Index) -> None:
    add(objects, tmp_path / "f", {"a": b"1"})
    (tmp_path / "f" / "empty" / "er").mkdir(parents=True)
    tree = objects.put_tree(tmp_path / "f")
    assert export_version(objects, tree, tmp_path / "out", "im", index, is_file=False).empty_folders == 1
    (tmp_path / "f" / "link").symlink_to("a")
    linked = objects.add_folder(tmp_path / "f", rules=Rules("keep")).digest.hex()
    with pytest.raises(InvalidInputError, match="link is a symbolic link"):
        export_version(objects, linked, tmp_path / "out", "im", index, is_file=False)


def test_a_project_that_is_there_keeps_its_settings_and_files(
    tmp_path: Path, objects: ObjectStore, index: Md5Index
) -> None:
    make_project(tmp_path / "out", "[cache]\n    dir = ../../shared\n")
    (tmp_path / "out" / "im.dvc").write_text("outs:\n- path: other\n")
    before = snapshot(tmp_path / "out")
    tree = add(objects, tmp_path / "f", {"a": b"1"})
    with pytest.raises(ConflictError, match="about something else"):
        export_version(objects, tree, tmp_path / "out", "im", index, is_file=False)
    assert snapshot(tmp_path / "out") == before
    export_version(objects, tree, tmp_path / "out", "im2", index, is_file=False)
    assert (tmp_path / "shared" / "files" / "md5").is_dir()
    assert snapshot(tmp_path / "out").keys() == before.keys() | {"im2.dvc"}


def test_a_damaged_file_is_not_handed_on(tmp_path: Path, objects: ObjectStore, index: Md5Index) -> None:
    tree = add(objects, tmp_path / "f", {"a": os.urandom(2_000)})
    pack = next((tmp_path / "objects").rglob("*.pack"))
    body = bytearray(pack.read_bytes())
    body[200] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(body)
    with pytest.raises(CorruptDataError):
        export_version(open_object_store(tmp_path / "objects"), tree, tmp_path / "out", "im", index, is_file=False)
    assert not (tmp_path / "out" / "im.dvc").exists()
    assert list((tmp_path / "out" / ".dvc").rglob("*.tmp")) == []


def test_what_a_killed_export_left_is_swept_a_day_later(tmp_path: Path, objects: ObjectStore, index: Md5Index) -> None:
    cache = make_project(tmp_path / "out")
    cache.mkdir()
    for name in (".penstock-old.tmp", ".penstock-new.tmp"):
        (cache / name).write_bytes(b"half")
    os.utime(cache / ".penstock-old.tmp", (0, 0))
    tree = add(objects, tmp_path / "f", {"a": b"1"})
    export_version(objects, tree, tmp_path / "out", "im", index, is_file=False)
    assert [path.name for path in cache.glob(".*")] == [".penstock-new.tmp"]

"""An unmodified DVC reads what we write, and we read what it writes; `make test-dvc` brings one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from patience import PATIENCE_S
from penstock.datasets.dvc.exporting import export_version
from penstock.datasets.dvc.importing import DvcImporter
from penstock.datasets.dvc.md5_index import Md5Index
from penstock.datasets.dvc.places import Places
from penstock.datasets.dvc.project import open_project
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

DVC = os.environ.get("PENSTOCK_DVC", "")
pytestmark = pytest.mark.skipif(not DVC, reason="PENSTOCK_DVC names no DVC; 'make test-dvc' does")
FILES = {"a.txt": b"a\r\n", "sub/b.bin": bytes(range(256)) * 9_000, "sub/deep/c": b"", "ü ?.txt": b"x" * 1_048_577}


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


def dvc(folder: Path, *words: str) -> str:
    """Run DVC in a folder, with nothing but that known to it, and nothing told to anybody."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    known = {"PATH": os.environ["PATH"], "HOME": str(home), "DVC_NO_ANALYTICS": "1", "XDG_CONFIG_HOME": str(home)}
    done = subprocess.run([DVC, *words], cwd=folder, env=known, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_project(folder: Path) -> Path:
    folder.mkdir()
    dvc(folder, "init", "--no-scm", "--quiet")
    dvc(folder, "config", "core.analytics", "false")
    dvc(folder, "config", "core.check_update", "false")
    return folder


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_dvc_checks_out_and_pulls_what_we_export(tmp_path: Path, objects: ObjectStore) -> None:
    write(tmp_path / "f", FILES)
    write(tmp_path / "one", {"one.sh": b"#!/bin/sh\n"})
    (tmp_path / "one" / "one.sh").chmod(0o755)
    index = Md5Index(tmp_path / "index")
    folder, file = objects.put_tree(tmp_path / "f"), objects.put_tree(tmp_path / "one")
    out, far = tmp_path / "out", tmp_path / "far"
    for target, remote in ((out, None), (far, tmp_path / "remote")):
        export_version(objects, folder, target, "data/im", index, is_file=False, remote=remote)
        export_version(objects, file, target, "one.sh", index, is_file=True, remote=remote)
    dvc(out, "checkout", "--quiet")
    dvc(far, "remote", "add", "--default", "r", str(tmp_path / "remote"))
    dvc(far, "pull", "--quiet")
    for target in (out, far):
        assert snapshot(target / "data" / "im") == FILES
        assert (target / "one.sh").read_bytes() == b"#!/bin/sh\n"
        assert os.access(target / "one.sh", os.X_OK)
        assert "up to date" in dvc(target, "status")


def test_dvc_would_write_the_same_bytes(tmp_path: Path, objects: ObjectStore) -> None:
    theirs = new_project(tmp_path / "theirs")
    write(theirs / "im", FILES)
    dvc(theirs, "add", "--quiet", "im")
    ours = tmp_path / "ours"
    tree = objects.put_tree(theirs / "im")
    export_version(objects, tree, ours, "im", Md5Index(tmp_path / "index"), is_file=False)
    assert (ours / "im.dvc").read_bytes() == (theirs / "im.dvc").read_bytes()
    assert snapshot(ours / ".dvc" / "cache") == snapshot(theirs / ".dvc" / "cache")


def test_we_read_what_dvc_made_from_its_cache_and_its_remote(tmp_path: Path, objects: ObjectStore) -> None:
    root = new_project(tmp_path / "p")
    write(root / "data" / "im", FILES)
    write(root, {"one.csv": b"x\r\n"})
    dvc(root, "add", "--quiet", "data/im", "one.csv")
    dvc(root, "remote", "add", "--default", "r", str(tmp_path / "remote"))
    (root / "dvc.yaml").write_text(
        "stages:\n  copy:\n    cmd: cp one.csv two.csv && cp one.csv m.csv\n    deps: [one.csv]\n"
        "    outs: [two.csv, m.csv: {cache: false}]\n"
    )
    dvc(root, "repro", "--quiet")
    dvc(root, "push", "--quiet")
    for each in ("cache", "remote"):
        if each == "remote":
            shutil.rmtree(root / ".dvc" / "cache")
            shutil.rmtree(root / "data" / "im")
        project = open_project(root)
        taken, missing = DvcImporter(objects, Places(project), Md5Index(tmp_path / f"index-{each}")).take(project.outs)
        assert missing == []
        assert sorted(each.out.path for each in taken) == ["data/im", "one.csv", "two.csv"]
        (folder,) = (each for each in taken if each.out.is_folder)
        found = {path: objects.get_bytes(entry.digest) for path, entry in objects.list_files(folder.tree)}
        assert found == FILES

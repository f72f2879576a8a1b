"""Projects of DVC become trees: from every place where content may be, and nothing that is not what its MD5 says."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest

from datasets.dvc.dvc_world import make_project, md5, put, write_out
from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError
from penstock.core.ids import new_id
from penstock.datasets.dvc import importing
from penstock.datasets.dvc.importing import DvcImporter, Missing, TakenOut
from penstock.datasets.dvc.md5_index import Known, Md5Index
from penstock.datasets.dvc.places import Places
from penstock.datasets.dvc.project import open_project
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

FILES = {"a.txt": b"a\r\n", "sub/b.bin": os.urandom(3_000_000), "sub/deep/c": b"", "ü ?.txt": b"x" * 1_048_576}


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


def take(
    objects: ObjectStore, place: Path, remote: str = "", index: Path | None = None
) -> tuple[list[TakenOut], list[Missing]]:
    project = open_project(place)
    return DvcImporter(objects, Places(project, remote), Md5Index(index or place / new_id())).take(project.outs)


def content(objects: ObjectStore, taken: TakenOut) -> dict[str, bytes]:
    return {path: objects.get_bytes(entry.digest) for path, entry in objects.list_files(taken.tree)}


@pytest.mark.parametrize("is_old", [False, True])
def test_a_cache_is_read_as_the_line_of_dvc_that_wrote_it_has_it(
    is_old: bool, tmp_path: Path, objects: ObjectStore
) -> None:
    root = tmp_path / "p"
    cache = make_project(root)
    write_out(root, "data/im", FILES, cache, is_old=is_old)
    write_out(root, "data/one.csv", b"x\r\ny\r\n", cache, is_old=is_old)
    taken, missing = take(objects, root)
    assert missing == []
    assert [(each.out.path, each.files, each.size) for each in taken] == [
        ("data/im", 4, sum(map(len, FILES.values()))),
        ("data/one.csv", 1, 6),
    ]
    assert content(objects, taken[0]) == FILES
    assert content(objects, taken[1]) == {"one.csv": b"x\r\ny\r\n"}


def test_a_remote_has_what_the_cache_lacks(tmp_path: Path, objects: ObjectStore) -> None:
    root, remote = tmp_path / "p", tmp_path / "remote"
    make_project(root, "    remote = far\n['remote \"far\"']\n    url = ../../remote\n")
    write_out(root, "im", FILES, remote)
    for name in ("", "far", str(remote), remote.as_uri()):
        taken, missing = take(objects, root, name)
        assert missing == []
        assert content(objects, taken[0]) == FILES
    with pytest.raises(InvalidInputError, match=r"no remote 'fra'; the project has: far"):
        take(objects, root, "fra")
    with pytest.raises(InvalidInputError, match=r"ssh://.*cannot be read here"):
        take(objects, root, "ssh://host/path")


def test_settings_of_this_machine_go_before_those_of_the_project(tmp_path: Path, objects: ObjectStore) -> None:
    root = tmp_path / "p"
    make_project(root)
    (root / ".dvc" / "config.local").write_text("[cache]\n    dir = ../../shared\n")
    write_out(root, "im", FILES, tmp_path / "shared")
    assert take(objects, root)[1] == []


def test_files_that_lie_there_will_do_if_they_are_what_they_should_be(tmp_path: Path, objects: ObjectStore) -> None:
    root = tmp_path / "p"
    cache = make_project(root)
    write_out(root, "a.bin", b"content", cache)
    shutil.rmtree(cache)
    (root / "a.bin").write_bytes(b"content")
    assert content(objects, take(objects, root)[0][0]) == {"a.bin": b"content"}
    (root / "a.bin").write_bytes(b"changed")
    taken, missing = take(objects, root)
    assert (taken, missing) == ([], [Missing("a.bin", md5(b"content"), True)])


def test_all_that_is_missing_or_damaged_is_named_and_the_rest_taken(tmp_path: Path, objects: ObjectStore) -> None:
    root = tmp_path / "p"
    cache = make_project(root)
    write_out(root, "whole", {"x": b"1"}, cache)
    out = write_out(root, "part", {"gone": b"2", "bad": b"3", "good": b"4"}, cache)
    write_out(root, "lost", {"y": b"5"}, cache)
    key = md5(b"2")
    (cache / "files" / "md5" / key[:2] / key[2:]).unlink()
    put(cache, md5(b"3"), b"other")
    for file in cache.rglob("*.dir"):
        if b'"y"' in file.read_bytes():
            lost = file.parent.name + file.name
            file.unlink()
    taken, missing = take(objects, root)
    assert [each.out.path for each in taken] == ["whole"]
    assert missing == [
        Missing("lost", lost, False),
        Missing("part/bad", md5(b"3"), True),
        Missing("part/gone", md5(b"2"), False),
    ]
    put(cache, str(out["md5"]), b"[]")
    assert take(objects, root)[1][1] == Missing("part", str(out["md5"]), True)


def test_a_list_that_leads_out_of_its_folder_is_refused(tmp_path: Path, objects: ObjectStore) -> None:
    root = tmp_path / "p"
    cache = make_project(root)
    write_out(root, "im", {"../../evil": b"1"}, cache)
    with pytest.raises(CorruptDataError, match=r"'\.\.' cannot name a file"):
        take(objects, root)


def test_who_starts_again_reads_only_what_was_not_read(
    tmp_path: Path, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "p"
    cache = make_project(root)
    write_out(root, "im", {f"{n:02}": bytes([n]) for n in range(20)}, cache)
    monkeypatch.setattr(importing, "_BATCH_FILES", 5)
    find, opened = Places.find, []

    def breaking(self, *args):
        for stream in find(self, *args):
            opened.append(args)
            if len(opened) == 14:  # the list of the files is the first
                stream.close()
                raise KeyboardInterrupt
            yield stream

    monkeypatch.setattr(Places, "find", breaking)
    with pytest.raises(KeyboardInterrupt):
        take(objects, root, index=tmp_path / "index")
    fresh = open_object_store(tmp_path / "objects")
    taken, _ = take(fresh, root, index=tmp_path / "index")
    assert taken[0].read == 10
    assert take(fresh, root, index=tmp_path / "index")[0][0].read == 0
    assert len(content(fresh, taken[0])) == 20


def test_what_the_store_lost_is_read_again_whatever_the_index_says(tmp_path: Path, objects: ObjectStore) -> None:
    root = tmp_path / "p"
    write_out(root, "a", b"1", make_project(root))
    take(objects, root, index=tmp_path / "index")
    other = open_object_store(tmp_path / "other")
    assert content(other, take(other, root, index=tmp_path / "index")[0][0]) == {"a": b"1"}


def test_an_index_that_is_torn_or_damaged_loses_only_what_is_not_whole(tmp_path: Path) -> None:
    rows = [Known(md5(bytes([n])), bytes([n]) * 32, n) for n in range(4)]
    file = tmp_path / "index"
    Md5Index(file).add(rows[:2])
    file.write_bytes(file.read_bytes()[:-5])
    Md5Index(file).add(rows[2:])
    found = Md5Index(file)
    assert [found.find(row.md5) for row in rows] == [rows[0], None, rows[2], rows[3]]
    body = bytearray(file.read_bytes())
    body[20] ^= 1
    file.write_bytes(body)
    found = Md5Index(file)
    assert [found.find_md5(row.digest) for row in rows] == [None, None, rows[2].md5, rows[3].md5]


def test_pipelines_name_their_outs_from_their_own_folder_and_what_stands_in_git_is_left(tmp_path: Path) -> None:
    root = tmp_path / "p"
    make_project(root)
    (root / "dvc.yaml").write_text(
        "stages:\n  s:\n    wdir: w\n    cmd: x\n    outs: [out.csv]\n    metrics: [{m.json: {cache: false}}]\n"
        "  many:\n    foreach: [1, 2]\n    do: {cmd: x, outs: ['o${item}']}\n"
    )
    outs = "".join(f"    - {{path: {p}, md5: {md5(p.encode())}, hash: md5}}\n" for p in ("out.csv", "m.json"))
    (root / "dvc.lock").write_text(
        f"schema: '2.0'\nstages:\n  s:\n    cmd: x\n    outs:\n{outs}"
        f"  many@1:\n    cmd: x\n    outs: [{{path: o1, md5: {md5(b'1')}.dir, hash: md5}}]\n"
    )
    (root / "sub").mkdir()
    (root / "sub" / "x.dvc").write_text(
        f"wdir: ..\nouts:\n- {{path: up, md5: {md5(b'2')}, isexec: true}}\n- {{path: far, etag: abc}}\n"
        f"- {{path: s3://bucket/x, md5: {md5(b'3')}}}\n- {{path: ../../out, md5: {md5(b'4')}}}\n"
        "- {path: g, cache: false}\n"
    )
    project = open_project(root)
    assert [(out.path, out.is_folder, out.is_old, out.is_executable) for out in project.outs] == [
        ("w/out.csv", False, False, False),
        ("o1", True, False, False),
        ("up", False, True, True),
    ]
    assert [reason.partition(" of ")[0] for reason in project.skipped] == ["far", "s3:/bucket/x", "../../out"]
    assert [out.path for out in open_project(root / "sub").outs] == ["up"]
    assert [out.path for out in open_project(root / "sub" / "x.dvc").outs] == ["up"]


def test_what_is_no_project_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="in no project of DVC"):
        open_project(tmp_path)
    make_project(tmp_path / "p")
    with pytest.raises(NotFoundError):
        open_project(tmp_path / "p" / "none")
    (tmp_path / "p" / "x.dvc").write_text("outs: [")
    with pytest.raises(InvalidInputError, match=r"x\.dvc cannot be read"):
        open_project(tmp_path / "p")
    (tmp_path / "p" / "x.dvc").write_text("- a\n")
    with pytest.raises(InvalidInputError, match="no file of DVC"):
        open_project(tmp_path / "p")
    (tmp_path / "p" / "x.dvc").write_text("outs: 7\n")
    assert open_project(tmp_path / "p").outs == ()
    (tmp_path / "p" / ".dvc" / "config").write_text("no section\n")
    with pytest.raises(InvalidInputError):
        open_project(tmp_path / "p")


def test_streams_are_closed(tmp_path: Path, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "p"
    write_out(root, "im", FILES, make_project(root))
    seen: list[BinaryIO] = []
    find = Places.find

    def noting(self, *args):
        for stream in find(self, *args):
            seen.append(stream)
            yield stream

    monkeypatch.setattr(Places, "find", noting)
    take(objects, root)
    assert len(seen) == 5
    assert all(stream.closed for stream in seen)

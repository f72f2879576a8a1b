"""What nothing refers to goes, by command; and why something stays is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Penstock
from patience import PATIENCE_S
from penstock.core.ids import Digest, Ref
from penstock.sdk.connect import connect
from penstock.storage.objects.collection.packing import FEWEST
from penstock.storage.references import drop_objects, keep_objects

WRITER = """
import sys
from penstock.core.ids import Ref
from penstock.sdk.connect import connect
from penstock.storage.references import keep_objects
services = connect(sys.argv[1])
digest = services.objects.put_bytes(b"shared by two")
tree = services.objects.put_tree(sys.argv[2])
print(digest, tree, flush=True)
sys.stdin.readline()
services.datasets.db.write(keep_objects, Ref("dataset-version", "late/1"), [digest, tree])
services.close()
"""


def drop(project: Path, owner: Ref) -> None:
    """As a verb does that deletes a thing."""
    services = connect(project)
    services.datasets.db.write(drop_objects, owner)
    services.close()


def keep(project: Path, owner: Ref, data: bytes) -> Digest:
    services = connect(project)
    digest = services.objects.put_bytes(data)
    services.datasets.db.write(keep_objects, owner, [digest])
    services.close()
    return digest


def keep_many(project: Path, name: str, count: int) -> Digest:
    services = connect(project)
    kept = [services.objects.put_bytes(f"{name} {number}".encode()) for number in range(count)]
    services.datasets.db.write(keep_objects, Ref("run", name), kept)
    services.close()
    return kept[0]


def test_a_deleted_version_waits_and_goes(penstock: Penstock, project: Path) -> None:
    penstock("data", "add")
    (version,) = penstock("data", "log", "--json").json
    ref = Ref("dataset-version", f"{version['dataset']}/1")
    assert penstock("gc", "--json").json["condemned"]["objects"] == 0
    drop(project, ref)
    would = penstock("gc", "--dry-run")
    assert would.code == 0 and "would be condemned: 2 objects" in would.out
    done = penstock("gc", "--json").json
    assert done["condemned"]["objects"] == 2 and done["deleted"]["objects"] == 0
    told = penstock("why-kept", version["tree"])
    assert told.code == 0 and "condemned since" in told.out and "deleted by the first 'penstock gc' after" in told.out
    gone = penstock("gc", "--grace", "0", "--json").json
    assert gone["deleted"]["objects"] == 2 and gone["deleted"]["size"] > 0
    assert penstock("verify").code == 0
    nothing = penstock("why-kept", version["tree"])
    assert nothing.code == 1 and "nothing needs one" in nothing.err
    events = penstock("audit", "list", "--json").json
    assert [event["detail"]["deleted"] for event in events if event["action"] == "upkeep.collect"] in ([2, 0], [0, 2])


def test_all_goes_at_once_when_nobody_writes_and_no_grace_is_given(penstock: Penstock, project: Path) -> None:
    digest = keep(project, Ref("run", "x"), b"for a run")
    drop(project, Ref("run", "x"))
    said = penstock("gc", "--grace", "0")
    assert said.code == 0 and "deleted: 1 objects, 11 bytes" in said.out
    assert penstock("why-kept", digest).code == 1


def test_what_is_kept_one_by_one_is_packed(penstock: Penstock, project: Path) -> None:
    first = keep_many(project, "x", FEWEST - 1)
    assert penstock("gc", "--json").json["packed"] == 0, "they are too few"
    keep_many(project, "y", 1)
    assert penstock("gc", "--dry-run", "--json").json["packed"] == 0
    said = penstock("gc")
    assert said.code == 0 and f"packed: {FEWEST} objects that were files of their own" in said.out
    assert list((project / ".penstock" / "objects" / "loose").rglob("*/*")) == []
    assert penstock("verify").code == 0 and penstock("why-kept", first).code == 0


def test_the_way_down_to_an_object_is_told(penstock: Penstock, project: Path) -> None:
    penstock("data", "add")
    (version,) = penstock("data", "log", "--json").json
    services = connect(project)
    ((path, entry),) = services.objects.list_files(version["tree"])
    services.close()
    said = penstock("why-kept", entry.digest)
    assert f"dataset-version:{version['dataset']}/1" in said.out and path in said.out and version["tree"] in said.out
    found = penstock("why-kept", entry.digest, "--json").json
    assert [step["digest"] for step in found["chains"][0]["steps"]] == [version["tree"], entry.digest]
    loose = keep(project, Ref("run", "b"), b"twice needed")
    keep(project, Ref("run", "a"), b"twice needed")
    assert [chain["owner"]["id"] for chain in penstock("why-kept", loose, "--json").json["chains"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gc", "--grace", "soon"], "is no length of time"),
        (["why-kept", "abc"], "is no digest"),
        (["why-kept", "ab" * 32], "there is no object"),
        (["gc", "--home", "nowhere"], "there is no folder"),
        (["gc", "--remote", "shared"], "has no owner"),
    ],
)
def test_what_cannot_be_is_told(penstock: Penstock, project: Path, arguments: list[str], told: str) -> None:
    said = penstock(*arguments)
    assert said.code == 1 and told in said.err


def test_only_the_owner_collects_a_store(penstock: Penstock, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    penstock("data", "add")
    penstock("data", "push", "--remote", "../shared")
    assert penstock("gc", "--remote", "../shared").code == 0, "who pushed first owns it"
    (project / "penstock.toml").rename(project.parent / "penstock.toml")  # another project, another database
    (project.parent / "customers.csv").rename(project.parent / "churned.csv")
    monkeypatch.chdir(project.parent)
    said = penstock("gc", "--remote", "shared")
    assert said.code == 1 and "belongs to the database of" in said.err and str(project) in said.err
    taken = penstock("gc", "--remote", "shared", "--claim", "--grace", "0", "--json").json
    assert taken["deleted"]["objects"] == 0 and taken["kept"]["objects"] > 0, "what others pushed is kept"


def test_a_version_that_is_gone_goes_from_the_remote_after_the_next_push(penstock: Penstock, project: Path) -> None:
    penstock("data", "add")
    (version,) = penstock("data", "log", "--json").json
    penstock("data", "push", "--remote", "../shared", "--everything")
    keep(project, Ref("run", "x"), b"another")
    drop(project, Ref("dataset-version", f"{version['dataset']}/1"))
    assert penstock("gc", "--remote", "../shared", "--grace", "0", "--json").json["deleted"]["objects"] == 0
    penstock("data", "push", "--remote", "../shared", "--everything")
    collected = penstock("gc", "--remote", "../shared", "--grace", "0", "--json").json
    assert collected["deleted"]["objects"] == 2


@pytest.mark.parametrize("is_there_before", [False, True], ids=["new", "relied on"])
def test_a_writer_that_is_stopped_before_its_reference_loses_nothing(
    penstock: Penstock, project: Path, is_there_before: bool
) -> None:
    folder = project / "late"
    folder.mkdir()
    (folder / "a.txt").write_text("late")
    if is_there_before:
        keep(project, Ref("run", "before"), b"shared by two")
        drop(project, Ref("run", "before"))
    command = [sys.executable, "-c", WRITER, str(project), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        digest, tree = writer.stdout.readline().split()
        os.kill(writer.pid, signal.SIGSTOP)
        reports = [penstock("gc", "--grace", "0", "--json").json for _ in range(3)]
        assert sum(report["condemned"]["objects"] for report in reports) == 3
        assert all(report["deleted"]["objects"] == 0 for report in reports) and reports[-1]["held_by"]
        os.kill(writer.pid, signal.SIGCONT)
        writer.stdin.write("go on\n")
        writer.stdin.flush()
        assert writer.wait(timeout=PATIENCE_S) == 0
    assert penstock("gc", "--grace", "0", "--json").json["spared"] == 3
    assert penstock("verify").code == 0
    services = connect(project)
    assert services.objects.get_bytes(Digest(digest)) == b"shared by two"
    assert [path for path, _ in services.objects.list_files(Digest(tree))] == ["a.txt"]
    services.close()

"""A disk without room: it is said clearly, reads go on, nothing is damaged, and writes resume when there is room."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import penstock as ps
from journeys.own_project import OwnProject, make_customers, questions
from patience import wait_until
from penstock.core.errors import StorageFullError
from penstock.predictions.frames import read_predictions

SIZE_MB = 24


@pytest.fixture
def small_disk(trained: OwnProject) -> Iterator[OwnProject]:
    """A project whose state lies on a disk of some megabytes."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    before = trained.folder / "before"
    trained.home.rename(before)
    trained.home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", trained.home], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(before, trained.home, dirs_exist_ok=True)
        yield trained
        trained.stop()
    finally:
        subprocess.run(["umount", "-l", trained.home], check=True)


def fill(project: OwnProject) -> Path:
    """Take all the room there is; the file to remove to have it back."""
    ballast = project.home / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return ballast


@pytest.mark.slow
def test_a_full_disk_is_told_reads_go_on_and_writes_resume(small_disk: OwnProject) -> None:
    small_disk.start()
    wait_until(lambda: small_disk.predict(questions(1)).is_success)
    services = ps.connect(small_disk.folder)
    answered = [row["id"] for row in small_disk.predict(questions(100)).json()["predictions"]]
    ballast = fill(small_disk)

    wait_until(lambda: _is_refused(small_disk, answered), what="predictions are refused")
    refusal = small_disk.predict(questions(200))
    assert refusal.status_code == 507
    assert "cannot be written" in refusal.json()["message"]
    assert "free some space" in refusal.text
    wait_until(lambda: _cannot_write(services), what="writes are refused")

    assert "version 1 answers" in small_disk.run("status").stdout
    assert small_disk.json("models", "list")[0]["model"]["latest_version"] == 1
    assert httpx.get(small_disk.url).status_code == 200
    make_customers(2_100, seed=1).write_csv(small_disk.folder / "data" / "customers.csv")
    told = small_disk.run("data", "add", check=False)
    assert told.returncode == 1
    assert "no room left" in told.stderr
    assert set(small_disk.processes()) == {"server", "gateway", "worker"}

    ballast.unlink()
    wait_until(lambda: small_disk.predict(questions(1)).is_success, what="predictions are answered again")
    wait_until(lambda: not _cannot_write(services), what="writes are taken again")
    assert small_disk.run("data", "add").stdout == "customers version 2: 2,100 rows, added\n"
    assert small_disk.run("verify").returncode == 0
    wait_until(lambda: _logged(services) >= set(answered), what="every answered prediction is in the log")
    services.close()


def _is_refused(project: OwnProject, answered: list[str]) -> bool:
    answer = project.predict(questions(200))
    if answer.is_success:
        answered += [row["id"] for row in answer.json()["predictions"]]
    return not answer.is_success


def _cannot_write(services: ps.Services) -> bool:
    try:
        services.tracking.create_run("full", tags={"note": "x" * 4_000})
    except StorageFullError:
        return True
    return False


def _logged(services: ps.Services) -> set[str]:
    return set(read_predictions(services.objects, services.predictions.list_segments("churned"))["id"])


@pytest.mark.slow
@pytest.mark.every(2)
@pytest.mark.parametrize("point", ["objects.fsync", "objects.rename", "storage.writer.before_commit"])
def test_wherever_the_room_ends_the_next_try_succeeds(point: str, trained: OwnProject) -> None:
    make_customers(2_100, seed=1).write_csv(trained.folder / "data" / "customers.csv")
    told = trained.run("data", "add", check=False, PENSTOCK_FAILPOINTS=f"{point}=enospc")
    assert told.returncode == 1
    assert told.stderr.startswith("error: ")
    assert "room" in told.stderr
    assert "free some space" in told.stderr
    assert [version["version"] for version in trained.json("data", "log")] == [1]
    assert trained.run("data", "add").stdout == "customers version 2: 2,100 rows, added\n"
    assert trained.run("verify").returncode == 0

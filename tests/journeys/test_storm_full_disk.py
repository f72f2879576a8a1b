"""A server whose disk fills up under eight writers: refusals are clear, reads go on, and so do writes with new room."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.storm.storm import Storm, check_store, seeded
from journeys.storm.wire import Wire
from patience import wait_until
from sdk.spool.servers import Server

SIZE_MB = 400
ROUNDS = 5
FULL = 507


@pytest.fixture
def small_home(tmp_path: Path) -> Iterator[Path]:
    """A home folder on a disk of some megabytes."""
    home = tmp_path / "home"
    home.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(home)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield home
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def fill(home: Path) -> Path:
    """Take all the room there is; the file to remove to have it back."""
    ballast = home / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 8):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return ballast


@pytest.mark.slow
@pytest.mark.sqlite
def test_a_disk_that_fills_up_again_and_again_loses_and_damages_nothing(small_home: Path) -> None:
    chance = seeded()
    server = Server(small_home)
    server.start()
    try:
        with Storm(server, chance) as storm:
            for number in range(ROUNDS):
                storm.wait_for_more(100)
                before = refused(storm)
                ballast = fill(small_home)
                wait_until(lambda before=before: refused(storm) > before + 20, what="writes are refused")
                check_reads(server)
                time.sleep(chance.uniform(0.0, 1.0))
                if number % 2:
                    restart(server, ballast)
                ballast.unlink(missing_ok=True)
            storm.wait_for_more(200)
        storm.check(server)
    finally:
        server.kill()
    check_store(f"sqlite:///{small_home / 'penstock.db'}", small_home)


def restart(server: Server, ballast: Path) -> None:
    """Kill the server; the next one may find room enough to start, or says that there is none and starts later."""
    server.kill()
    server.launch()
    if server.wait():
        return
    assert server.process is not None
    assert server.process.returncode == 1
    ballast.unlink()
    server.start()


def refused(storm: Storm) -> int:
    """How many writes found no room so far."""
    return sum(writer.wire.statuses[FULL] for writer in storm.writers)


def check_reads(server: Server) -> None:
    """What needs no room is answered at once."""
    wire = Wire(server.port)
    for path in ("/health", "/", "/api/2.0/mlflow/experiments/get?experiment_id=0"):
        answer = wire.send("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body[:300])
    wire.close()

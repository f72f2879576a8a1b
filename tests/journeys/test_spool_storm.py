"""Our own client under a storm: servers and clients are killed, and all that was logged arrives exactly once (P12)."""

import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from journeys.storm.checking import history
from journeys.storm.wire import Wire
from sdk.spool.servers import Server, start_client

CLIENTS = 4
KILLS = 5
POINTS = {
    "storage.writer.before_commit": 8,
    "storage.writer.after_commit": 8,
    "tracking.deliveries.applied": 8,
    "objects.append": 3,
    "objects.renamed": 3,
}
CLIENT = """
import pathlib
stop, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
first, run_id = int(sys.argv[3]), sys.argv[4] or None
run = ps.start_run("storm", run_id=run_id)
os.write(1, f"run {run.id}\\n".encode())
took, step = [], first
while not stop.exists():
    for _ in range(20):
        began = time.perf_counter()
        run.log(loss=step / 7, step=step)
        took.append(time.perf_counter() - began)
        os.write(1, f"point {step}\\n".encode())
        step += 1
    if step % 200 < 20:
        run.log_params({f"p{step}": step})
        os.write(1, f"param p{step}\\n".encode())
        file = folder / f"{step}.bin"
        file.write_bytes(os.urandom(300_000))
        run.log_artifact(file)
        os.write(1, f"file {file.name}\\n".encode())
    time.sleep(0.01)
run.end(wait_s=60)
took = sorted(took) or [0.0]
ms = [1000 * took[int(len(took) * part)] for part in (0.5, 0.99)]
os.write(1, f"took {ms[0]:.3f} ms, p99 {ms[1]:.3f} ms, at most {1000 * took[-1]:.1f} ms\\n".encode())
"""


class Training:
    """A run that goes on in a process of its own, and in a new one when that is killed.

    Attributes:
        run_id: of the run.
        told: what the client said after each call: `points`, `params`, `files`, by kind.
    """

    def __init__(self, folder: Path, stop: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.run_id = ""
        self.told: dict[str, list[str]] = {"point": [], "param": [], "file": []}
        self.untold: set[int] = set()  # steps that a killed client may have logged, or not
        self.figures = ""
        self.errors = ""
        self._stop = stop
        self._begin(0)

    def kill(self) -> None:
        """SIGKILL to the process; another one goes on with the run."""
        self._process.kill()
        self.wait()
        following = int(self.told["point"][-1]) + 1 if self.told["point"] else 0
        self.untold.add(following)
        self._begin(following + 1)

    def wait(self) -> int:
        """How the process ended."""
        self._reader.join()
        return self._process.wait()

    def _begin(self, first: int) -> None:
        self._process = start_client(
            f"sys.argv = {['', str(self._stop), str(self.folder), str(first), self.run_id]!r}\n{CLIENT}"
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with self._process as process:
            assert process.stdout is not None and process.stderr is not None
            self._take(process.stdout)
            self.errors += process.stderr.read()

    def _take(self, lines: IO[str]) -> None:
        for line in lines:
            kind, _, value = line.strip().partition(" ")
            if kind == "run":
                self.run_id = value
            elif kind == "took":
                self.figures = value
            elif line.endswith("\n"):
                self.told[kind].append(value)


@pytest.mark.slow
def test_what_clients_logged_arrives_once_whoever_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    server, stop, spools = Server(tmp_path / "home"), tmp_path / "stop", tmp_path / "spools"
    monkeypatch.setenv("PENSTOCK_URL", server.url)
    monkeypatch.setenv("PENSTOCK_SPOOL", str(spools))
    trainings = [Training(tmp_path / f"client{number}", stop) for number in range(CLIENTS)]
    try:
        for number in range(KILLS):
            point = chance.choice(list(POINTS))
            is_armed = chance.random() < 0.5
            server.launch(PENSTOCK_FAILPOINTS=f"{point}=kill@{chance.randint(1, POINTS[point])}" if is_armed else "")
            server.wait()
            time.sleep(chance.uniform(0.2, 1.5))
            if number % 4 == 2 and (begun := [each for each in trainings if each.run_id]):
                chance.choice(begun).kill()
            server.kill()
        server.start()
        stop.touch()
        for training in trainings:
            assert training.wait() == 0, training.errors
        synced = subprocess.run(
            [sys.executable, "-m", "penstock", "sync", str(spools)], capture_output=True, text=True, check=False
        )
        assert synced.returncode == 0, synced.stdout + synced.stderr
        for training in trainings:
            check_training(server, training)
        assert not any(os.scandir(spools)), list(spools.iterdir())
    finally:
        stop.touch()
        server.kill()


def check_training(server: Server, training: Training) -> None:
    """Each point, parameter and file that the client was told of is there, once."""
    wire = Wire(server.port)
    steps = [step for step, _, value in history(wire, training.run_id, "loss") if value == step / 7]
    told = {int(step) for step in training.told["point"]}
    assert len(steps) == len(set(steps))
    assert told <= set(steps) <= told | training.untold
    run = wire.get("runs/get", run_id=training.run_id).json()["run"]
    assert set(training.told["param"]) <= {each["key"] for each in run["data"]["params"]}
    assert run["info"]["status"] == "FINISHED"
    for name in training.told["file"]:
        answer = wire.get("/get-artifact", run_uuid=training.run_id, path=name)
        kept = (training.folder / name).read_bytes()
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(kept).digest(), (name, answer.status)
    wire.close()
    print(f"{len(told)} points, {len(training.told['file'])} files, {training.figures}")

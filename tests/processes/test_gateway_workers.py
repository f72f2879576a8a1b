"""Several gateway processes on one port: one that is killed takes no more with it than what it held."""

import collections
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

from patience import PATIENCE_S, wait_until
from penstock.predictions.blocks import pack_rows
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import PredictionRow
from penstock.processes.gateway_workers import Worker, worker_specs
from penstock.processes.listener import open_listener
from penstock.processes.run_gateway import open_log
from penstock.registry.format.saving import save_model
from processes.test_supervisor import Running
from serving.models import LOGISTIC_SAMPLE, make_logistic

PROGRAM = Path(__file__).with_name("gateway_worker.py")
ROW = [{"age": 20.0, "visits": 1}]


class Asking:
    """Callers who ask again and again, each over a connection that it keeps."""

    def __init__(self, url: str, callers: int) -> None:
        self.answered: list[str] = []
        self.lost: list[str] = []
        self._url = url
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(callers)]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more are answered."""
        before = len(self.answered)
        wait_until(lambda: len(self.answered) >= before + count)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE_S) as client:
            while not self._done.is_set():
                try:
                    answer = client.post("/predict/churn", json=ROW)
                except httpx.TransportError as error:
                    self.lost.append(repr(error))
                    continue
                assert answer.status_code == 200, answer.text
                self.answered.append(answer.json()["predictions"][0]["id"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with open_listener("127.0.0.1", 0, what="gateway", option="--port") as held:
        yield held


def start(folder: Path, listener: socket.socket, count: int) -> Running:
    save_model(make_logistic(), folder / "model", task="binary", sample=LOGISTIC_SAMPLE)

    def argv(worker: Worker) -> list[str]:
        which = [str(listener.fileno()), str(worker.number), str(worker.count)]
        return [sys.executable, str(PROGRAM), str(folder / "log"), str(folder / "model"), *which]

    (folder / "log").mkdir()
    return Running(folder, *worker_specs(argv, count, listener, {}))


def read_ids(folder: Path) -> list[str]:
    """The predictions that were shipped."""
    frames = [
        pl.read_parquet(path).select(pl.format("{}-{}", pl.lit(path.stem), "row")) for path in folder.glob("*.parquet")
    ]
    return pl.concat(frames).to_series().to_list()


@pytest.mark.slow
def test_a_killed_worker_takes_only_what_it_held_with_it(tmp_path: Path, listener: socket.socket) -> None:
    callers = 8
    with start(tmp_path, listener, 2) as running:
        wait_until(
            lambda: all(any("Started" in line for line in running.log(name)) for name in ("gateway-1", "gateway-2"))
        )
        with Asking(f"http://127.0.0.1:{listener.getsockname()[1]}", callers) as asking:
            asking.wait_for_more(100)
            before = running.supervisor.pids["gateway-2"]
            assert before is not None
            os.kill(before, signal.SIGKILL)
            asking.wait_for_more(100)
            wait_until(lambda: running.supervisor.pids["gateway-2"] not in (None, before))
            wait_until(lambda: sum("Started" in line for line in running.log("gateway-2")) == 2)
            asking.wait_for_more(100)
        assert len(asking.lost) <= callers  # each caller had one request under way
        wait_until(lambda: set(asking.answered) <= set(read_ids(tmp_path / "log")))
    assert max(collections.Counter(read_ids(tmp_path / "log")).values()) == 1


def test_a_worker_that_is_no_more_leaves_its_log_to_the_first(tmp_path: Path) -> None:
    left = open_log(Worker(3, 3), tmp_path)
    left.append("churn", pack_rows([PredictionRow(1, 1, "", "{}", "{}", 5)]))
    lives = open_log(Worker(2, 2), tmp_path)
    lives.append("churn", pack_rows([PredictionRow(1, 1, "", "{}", "{}", 5)]))
    alone = open_log(Worker(1, 2), tmp_path)  # the third one has not let go yet
    assert alone.list_closed() == []
    alone.close()
    left.close()
    again = open_log(Worker(1, 2), tmp_path)
    assert len(again.list_closed()) == 1
    assert isinstance(again, SegmentLog) and lives.list_closed() == []
    again.close()
    lives.close()

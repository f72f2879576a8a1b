"""The worker process: executes this project's pipeline runs, each step in a child process."""

import argparse
import os
from pathlib import Path

from penstock.compute.local_process import LocalProcess
from penstock.core.config import Config
from penstock.core.project.places import project_config
from penstock.pipelines.child_spec import StoreAddress
from penstock.pipelines.port import WorkPort
from penstock.pipelines.worker import Worker
from penstock.processes.child import Ticker, hear_stop, run_process
from penstock.processes.worker_health import WorkerHealth
from penstock.remote.discovery import HomeLock, read_owner_token
from penstock.remote.remote import open_remote
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store

LOCK_NAME = "worker.lock"
LOCK_WAIT_S = 20.0  # the worker before us may still be ending its child processes
POLL_S = 0.2
ANSWER_S = 10.0  # a server that does not answer must not keep the worker from its end


def build_worker(port: WorkPort, root: Path, config: Config, objects: ObjectStore, compute: LocalProcess) -> Worker:
    """A worker that keeps its files under the home folder; its name is the same after every restart."""
    objects.begin_writing()  # what its child processes keep, it refers to
    return Worker(
        port,
        root,
        objects,
        address=StoreAddress(config.objects_url),
        compute=compute,
        scratch=config.home / "work",
        name=f"worker of {config.home}",
    )


def work(folder: Path, config: Config) -> None:
    """Execute runs until told to stop; the server may come and go meanwhile.

    Raises:
        ConflictError: another worker of this home lives.
    """
    stop = hear_stop()
    lock = HomeLock(config.home / LOCK_NAME)
    lock.acquire(wait_s=LOCK_WAIT_S)
    objects = open_object_store(config.objects_url)
    token = config.token or read_owner_token(config.home)
    services = open_remote(
        config.url, token=token, actor="worker", patience_s=10.0, timeout_s=ANSWER_S, objects=objects
    )
    compute = LocalProcess()
    worker = build_worker(services, folder, config, objects, compute)
    ticker = Ticker("worker", worker.work_once, POLL_S)
    ticker.start()
    health = WorkerHealth(worker, services, config)
    try:
        with health.serving():
            stop.wait()
    finally:
        worker.stop()
        compute.close()
        ticker.stop()
        services.close()
        lock.release()


def main() -> None:
    """The entry point: `python -m penstock.processes.worker --folder DIR`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    os.nice(5)  # answers go before training
    run_process(lambda: work(arguments.folder, project_config(arguments.folder)))


if __name__ == "__main__":
    main()

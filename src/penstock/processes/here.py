"""`penstock run` without a server: the same worker and controller, in this process, step by step."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from penstock.catalogue.services import Services
from penstock.compute.local_process import LocalProcess
from penstock.core.config import Config
from penstock.core.errors import ConflictError
from penstock.core.project.types import Project
from penstock.loop.controller import Controller
from penstock.processes.child import log_to_file
from penstock.processes.worker import LOCK_NAME, build_worker
from penstock.remote.discovery import HomeLock


@contextlib.contextmanager
def run_here(services: Services, project: Project, config: Config) -> Iterator[Callable[[], None]]:
    """What moves the loop on by one step, each time it is called; nobody else works on the project meanwhile.

    Raises:
        ConflictError: another process works on this project just now.
    """
    lock = HomeLock(config.home / LOCK_NAME)
    try:
        lock.acquire()
    except ConflictError as error:
        raise ConflictError(
            f"process {lock.holder} is at work on this project", hint="wait for its end, then try again"
        ) from error
    compute = LocalProcess()
    worker = build_worker(services, Path(project.root), config, services.objects, compute)
    controller = Controller(services, project, holder=f"run-{socket.gethostname()}-{os.getpid()}")

    def step() -> None:
        controller.tick()
        worker.work_once()

    try:
        with log_to_file(config.logs / "run.log"):
            yield step
    finally:
        worker.stop()
        compute.close()
        controller.release()
        lock.release()

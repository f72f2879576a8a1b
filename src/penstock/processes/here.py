"""`penstock run` without a server: the same worker and controller, in this process, step by step."""

import os
from collections.abc import Callable
from pathlib import Path

from penstock.catalogue.services import Services
from penstock.compute.local_process import LocalProcess
from penstock.core.config import Config
from penstock.core.project.types import Project
from penstock.loop.controller import Controller
from penstock.processes.worker import LOCK_NAME, build_worker
from penstock.remote.discovery import HomeLock


def run_here(services: Services, project: Project, config: Config) -> Callable[[], None]:
    """What moves the loop on by one step, each time it is called.

    Raises:
        ConflictError: another process works on this project just now.
    """
    HomeLock(config.home / LOCK_NAME).acquire()  # held until this process ends
    worker = build_worker(services, Path(project.root), config, services.objects, LocalProcess())
    controller = Controller(services, project, holder=f"run-{os.getpid()}")

    def step() -> None:
        controller.tick()
        worker.work_once()

    return step

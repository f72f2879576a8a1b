"""One worker of a gateway in a process of its own: `gateway_worker.py FOLDER MODEL FD NUMBER COUNT`."""

import os
import socket
import sys
from pathlib import Path

from penstock.core.config import Config
from penstock.core.ids import Digest
from penstock.processes.child import run_process
from penstock.processes.gateway import guard
from penstock.processes.gateway_workers import Worker
from penstock.processes.run_gateway import open_log, run_gateway
from penstock.registry.format.loaded import load_model
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.port import LonePort
from penstock.serving.types import DeploymentRoute, RevisionRoute, Routing


def work(folder: Path, model: Path, descriptor: int, worker: Worker) -> None:
    """Serve the model until told to stop; shipped predictions lie in `folder` as Parquet."""
    segments = open_log(worker, folder)
    gateway = Gateway(segments)
    revision = RevisionRoute(1, "churn", 1, Digest(""))
    routing = Routing(1, (DeploymentRoute(deployment="churn", stable=revision),))
    loop = GatewayLoop(
        gateway,
        LonePort(routing, folder),
        segments,
        lambda tree: load_model(model),
        worker.find_folder(folder),
        name=worker.name,
    )
    loop.step()
    print(f"worker {worker.number} is process {os.getpid()}", flush=True)
    run_gateway(gateway, loop, guard(gateway, Config()), socket.socket(fileno=descriptor))


if __name__ == "__main__":
    place, saved, number, *which = sys.argv[1:]
    run_process(lambda: work(Path(place), Path(saved), int(number), Worker(*map(int, which))))

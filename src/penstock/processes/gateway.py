"""The gateway process: answers predictions, follows the server's routing, and ships what it logged."""

import argparse
import os
import socket
from pathlib import Path

from starlette.types import ASGIApp

from penstock.core.config import LOOPBACK, Config
from penstock.core.project.places import project_config
from penstock.predictions.compactor import Compactor
from penstock.processes.child import run_process
from penstock.processes.gateway_workers import Worker
from penstock.processes.run_gateway import open_counts, open_log, run_gateway
from penstock.registry.loading import open_tree, set_up_vetting
from penstock.registry.trust.remembered import RememberedStandings
from penstock.remote.discovery import HomeLock, read_owner_token
from penstock.remote.remote import open_remote
from penstock.server.guard import HostGuard
from penstock.server.identity import TokenGuard
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.port import ServicesPort
from penstock.serving.protocols.vertex import find_vertex
from penstock.storage.objects.open import open_object_store

LOCK_WAIT_S = 20.0  # the gateway before us may still be shipping what it logged
POLL_S = 0.2
OPEN_PATHS = ("/health", "/ready", "/ping", "/v2/health/live", "/v2/health/ready")
ANSWER_S = 5.0  # a server that does not answer must not keep the gateway from its end


def serve_gateway(config: Config, listener: socket.socket, worker: Worker) -> None:
    """Answer predictions until told to stop; the server may come and go meanwhile."""
    folder = config.home / "gateway"
    lock = HomeLock(config.home / f"{worker.name}.lock")
    lock.acquire(wait_s=LOCK_WAIT_S)
    objects = open_object_store(config.objects_url)
    token = config.token or read_owner_token(config.home)
    services = open_remote(
        config.url, token=token, actor="gateway", patience_s=2.0, timeout_s=ANSWER_S, objects=objects
    )
    segments = open_log(worker, folder)
    compactor = Compactor()
    gateway = Gateway(segments, also=find_vertex(os.environ), shared=open_counts(worker, folder))
    vetting = set_up_vetting(RememberedStandings(services.trust.get_standing, folder / "standings"), config)
    loop = GatewayLoop(
        gateway,
        ServicesPort(services.serving, services.predictions, objects),
        segments,
        lambda tree: open_tree(objects, tree, config.cache, vetting),
        worker.find_folder(folder),
        compact=compactor.compact,
        name=f"{worker.name}-{socket.gethostname()}",
        poll_s=POLL_S,
    )
    try:
        run_gateway(gateway, loop, guard(gateway, config), listener)
    finally:
        compactor.close()
        services.close()
        lock.release()


def guard(gateway: Gateway, config: Config) -> ASGIApp:
    """The gateway behind what keeps strangers out: other sites' pages on loopback, whoever has no token elsewhere."""
    guarded = TokenGuard(gateway, config, OPEN_PATHS)
    return HostGuard(guarded, config, has_pages=False) if config.host in LOOPBACK else guarded


def main() -> None:
    """The entry point: `python -m penstock.processes.gateway --folder DIR --fd N [--worker K --workers N]`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--worker", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    listener = socket.socket(fileno=arguments.fd)
    worker = Worker(arguments.worker, arguments.workers)
    run_process(lambda: serve_gateway(project_config(arguments.folder), listener, worker))


if __name__ == "__main__":
    main()

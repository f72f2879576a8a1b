"""The gateway process: answers predictions, follows the server's routing, and ships what it logged."""

import argparse
import os
import socket
from pathlib import Path

from starlette.types import ASGIApp

from penstock.core.config import LOOPBACK, Config
from penstock.core.project.places import project_config
from penstock.predictions.segment_log import SegmentLog
from penstock.processes.child import run_process
from penstock.processes.serve import run_uvicorn
from penstock.registry.loading import open_tree
from penstock.remote.discovery import GATEWAY_LOCK_NAME, HomeLock, read_owner_token
from penstock.remote.remote import open_remote
from penstock.server.guard import HostGuard
from penstock.server.identity import TokenGuard
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.port import ServicesPort
from penstock.storage.objects.open import open_object_store

LOCK_WAIT_S = 20.0  # the gateway before us may still be shipping what it logged
POLL_S = 0.2
OPEN_PATHS = ("/health", "/ping", "/v2/health/live", "/v2/health/ready")
ANSWER_S = 5.0  # a server that does not answer must not keep the gateway from its end


def serve_gateway(config: Config, listener: socket.socket) -> None:
    """Answer predictions until told to stop; the server may come and go meanwhile."""
    lock = HomeLock(config.home / GATEWAY_LOCK_NAME)
    lock.acquire(wait_s=LOCK_WAIT_S)
    objects = open_object_store(config.objects_url)
    token = config.token or read_owner_token(config.home)
    services = open_remote(
        config.url, token=token, actor="gateway", patience_s=2.0, timeout_s=ANSWER_S, objects=objects
    )
    folder = config.home / "gateway"
    segments = SegmentLog(folder / "segments")
    gateway = Gateway(segments)
    loop = GatewayLoop(
        gateway,
        ServicesPort(services.serving, services.predictions, objects),
        segments,
        lambda tree: open_tree(objects, tree, config.cache),
        folder,
        name=f"gateway-{socket.gethostname()}-{os.getpid()}",
        poll_s=POLL_S,
    )
    loop.restore()  # before the first request: callers who waited for a restart must not hear that nothing is served
    loop.start()
    try:
        run_uvicorn(guard(gateway, config), listener)
    finally:
        loop.stop()
        services.close()
        lock.release()


def guard(gateway: Gateway, config: Config) -> ASGIApp:
    """The gateway behind what keeps strangers out: other sites' pages on loopback, whoever has no token elsewhere."""
    guarded = TokenGuard(gateway, config, OPEN_PATHS)
    return HostGuard(guarded, config) if config.host in LOOPBACK else guarded


def main() -> None:
    """The entry point: `python -m penstock.processes.gateway --folder DIR --fd N`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    arguments = parser.parse_args()
    listener = socket.socket(fileno=arguments.fd)
    run_process(lambda: serve_gateway(project_config(arguments.folder), listener))


if __name__ == "__main__":
    main()

"""The server process of `penstock up`: HTTP API and pages of a project, and its controller."""

import argparse
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.outward import Outward, parse_networks
from penstock.core.project.parse import FILE_NAME, load_project
from penstock.core.project.places import project_config
from penstock.core.project.types import Project
from penstock.loop.controller import Controller
from penstock.loop.incidents import FailedEpisodes, StuckLoop
from penstock.monitoring.incidents.channels.open import open_channel
from penstock.monitoring.incidents.dispatcher import Dispatcher
from penstock.monitoring.incidents.sources import AlertSource
from penstock.processes.child import Ticker, run_process
from penstock.processes.serve import serve

CONTROLLER_PAUSE_S, CONTROLLER_LONGEST_PAUSE_S = 0.25, 1.0
DISPATCHER_PAUSE_S = 1.0


def main() -> None:
    """The entry point: `python -m penstock.processes.server --folder DIR --fd N`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    arguments = parser.parse_args()
    run_process(lambda: _serve_project(arguments.folder, socket.socket(fileno=arguments.fd)))


def _serve_project(folder: Path, listener: socket.socket) -> None:
    config, project = project_config(folder), load_project(folder / FILE_NAME)
    serve(config, listener, project=project, beside=lambda services: _control(services, project, config))


@contextlib.contextmanager
def _control(services: Services, project: Project, config: Config) -> Iterator[None]:
    """A controller and a dispatcher of alerts at work while the block runs."""
    dispatcher = open_dispatcher(services, project, config)
    sender = Ticker("alerts", dispatcher.tick, DISPATCHER_PAUSE_S)
    controller = Controller(services, project, holder=_holder(config))
    ticker = Ticker("controller", controller.tick, CONTROLLER_PAUSE_S, longest_pause_s=CONTROLLER_LONGEST_PAUSE_S)
    ticker.start()
    sender.start()
    try:
        yield
    finally:
        ticker.stop()
        sender.stop()
        controller.release()
        dispatcher.release()


def open_dispatcher(services: Services, project: Project, config: Config) -> Dispatcher:
    """What opens the incidents of a project and tells people of them, by the rules of its file."""
    outward = Outward(parse_networks(config.inward))
    return Dispatcher(
        services.incidents,
        project,
        {rule.label: open_channel(rule, outward, project.root) for rule in project.alerts},
        [
            AlertSource(services.monitoring, services.incidents, project.name),
            FailedEpisodes(services.loop, project.name),
            StuckLoop(services.loop, project.name),
        ],
        holder=_holder(config),
        url=config.shown_url,
    )


def _holder(config: Config) -> str:
    """Names this server's controller: of all on one database, only a restart of this very server has the same name."""
    machine = Path("/proc/sys/kernel/random/boot_id")
    boot = machine.read_text().strip()[:8] if machine.exists() else ""
    return f"server of {config.home} on {socket.gethostname()} {boot}".strip()[:200]


if __name__ == "__main__":
    main()

"""Several gateway processes on one port: each with its own models, log and loop, all on one listening socket.

While a worker is started again its callers are taken in by the others, or wait in the socket; only the requests that
it held are lost with it.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from penstock.processes.supervisor import ChildSpec

# A worker answers on one core: threads of a numeric library would wait for each other, spinning, on what others use.
ONE_CORE = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}


class Worker(Struct, frozen=True):
    """Which of the processes of a gateway this one is."""

    number: int = 1
    count: int = 1

    @property
    def name(self) -> str:
        """What its process and its log file are called."""
        return "gateway" if self.count == 1 else f"gateway-{self.number}"

    def find_folder(self, base: Path) -> Path:
        """Its own folder; the first worker has that of a lone gateway."""
        return base if self.number == 1 else base / f"worker-{self.number}"


def worker_specs(
    argv: Callable[[Worker], list[str]], count: int, listener: socket.socket, environment: dict[str, str]
) -> list[ChildSpec]:
    """The processes of a gateway, for a supervisor.

    Args:
        argv: the command line of a worker.
        count: how many there are.
        listener: the socket they share; its number is the same in each of them.
        environment: of each.
    """
    workers = [Worker(number, count) for number in range(1, count + 1)]
    environment = ONE_CORE | environment
    return [ChildSpec(worker.name, argv(worker), [listener], environment) for worker in workers]

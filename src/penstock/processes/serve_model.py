"""`penstock serve`: one model behind the gateway's protocols, without a project or a server."""

import contextlib
import os
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import msgspec

from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import InvalidInputError, PermissionDeniedError
from penstock.core.ids import Digest
from penstock.predictions.compactor import Compactor
from penstock.predictions.log import NoLog
from penstock.processes.child import StopSignal, follow_parent, hear_stop
from penstock.processes.gateway import guard
from penstock.processes.gateway_workers import Worker, worker_specs
from penstock.processes.listener import open_listener
from penstock.processes.run_gateway import open_counts, open_log, run_gateway
from penstock.processes.supervisor import Supervisor
from penstock.registry.loading import AnyModel, close_model
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.port import LonePort
from penstock.serving.protocols.vertex import find_vertex
from penstock.serving.types import DeploymentRoute, RevisionRoute, Routing

_FOLDER = "PENSTOCK_SERVE_FOLDER"  # which workers share, whether or not they keep their log there
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Served(msgspec.Struct, frozen=True):
    """What is served: a model by its name, and how it is opened."""

    name: str
    version: int
    tree: Digest
    open: Callable[[], AnyModel]


def serve_model(
    served: Served, config: Config, *, log_folder: Path | None, is_open: bool, tell_ready: Callable[[str], None]
) -> None:
    """Answer predictions of one model until told to stop.

    Args:
        served: the model; it is opened before anything listens.
        config: where to listen, and the token that is asked for.
        log_folder: where predictions are kept, a Parquet file each few seconds; None: nowhere.
        is_open: whether anyone on the network may ask, without a token.
        tell_ready: called with the URL once it answers.

    Raises:
        PermissionDeniedError: it would be open to the network, and nobody said that it may.
        ConflictError: the port is taken, or another gateway writes to the log's folder.
        CorruptDataError: the model no longer answers as it did when it was saved.
    """
    _check_open(config, is_open)
    model = served.open()
    with _listen(config) as listener:
        config = msgspec.structs.replace(config, gateway_port=listener.getsockname()[1])
        _answer(served, model, config, listener, Worker(), log_folder, lambda: tell_ready(config.gateway_url))


def serve_worker(
    served: Served, config: Config, listener: socket.socket, worker: Worker, log_folder: Path | None
) -> None:
    """Answer as one of several processes, on the socket that `serve_in_workers` opened."""
    follow_parent()
    _answer(served, served.open(), config, listener, worker, log_folder, lambda: None)


def serve_in_workers(
    argv: list[str],
    config: Config,
    count: int,
    *,
    log_folder: Path | None,
    is_open: bool,
    tell_ready: Callable[[str], None],
    tell: Callable[[str], None],
) -> None:
    """Answer predictions in several processes on one port until told to stop; one that dies is started again.

    Args:
        argv: the command line of a worker; `--fd`, `--worker` and `--workers` are added.
        config: where to listen, and the token that is asked for.
        count: how many processes.
        log_folder: where predictions, and what the processes say, are kept; None: nowhere.
        is_open: whether anyone on the network may ask, without a token.
        tell_ready: called with the URL once all of them answer.
        tell: called with a line for people when one dies and is started again.

    Raises:
        PermissionDeniedError: it would be open to the network, and nobody said that it may.
        ConflictError: the port is taken.
        UnavailableError: the workers do not start; says what one wrote last.
    """
    _check_open(config, is_open)
    stop = hear_stop()
    with _listen(config) as listener, _working_folder(log_folder) as folder:
        config = msgspec.structs.replace(config, gateway_port=listener.getsockname()[1])

        def command(worker: Worker) -> list[str]:
            which = ["--fd", str(listener.fileno()), "--worker", str(worker.number), "--workers", str(count)]
            return [*argv, *which]

        specs = worker_specs(command, count, listener, {_FOLDER: str(folder)})
        supervisor = Supervisor(specs, folder / "logs", tell)
        supervisor.start()
        watching = threading.Thread(target=supervisor.watch, name="supervisor")
        watching.start()
        try:
            if _wait_ready(config.gateway_url, supervisor, stop):
                tell_ready(config.gateway_url)
                stop.wait()
        finally:
            supervisor.request_stop()
            watching.join()


def _answer(
    served: Served,
    model: AnyModel,
    config: Config,
    listener: socket.socket,
    worker: Worker,
    log_folder: Path | None,
    tell_ready: Callable[[], None],
) -> None:
    with contextlib.ExitStack() as opened:
        opened.callback(close_model, model)
        folder = opened.enter_context(_working_folder(log_folder))
        segments = open_log(worker, folder) if log_folder is not None else NoLog(folder)
        compactor = opened.enter_context(contextlib.closing(Compactor()))
        together = Path(os.environ.get(_FOLDER, folder))
        gateway = Gateway(segments, also=find_vertex(os.environ), shared=open_counts(worker, together))
        revision = RevisionRoute(1, served.name, served.version, served.tree)
        routing = Routing(1, (DeploymentRoute(deployment=served.name, stable=revision),))
        loop = GatewayLoop(
            gateway,
            LonePort(routing, folder),
            segments,
            lambda tree: model,
            worker.find_folder(folder),
            compact=compactor.compact,
            name=f"serve-{os.getpid()}",
        )
        loop.step()
        run_gateway(gateway, loop, guard(gateway, config), listener, tell_ready)


def _check_open(config: Config, is_open: bool) -> None:
    if config.host not in LOOPBACK and not config.token and not is_open:
        raise PermissionDeniedError(
            f"listening on {config.host} would let anyone on the network in",
            hint="name a file with a token in --token-file, or say --open where something else keeps strangers out",
        )


def _listen(config: Config) -> AbstractContextManager[socket.socket]:
    return contextlib.closing(open_listener(config.host, config.port, what="gateway", option="--port"))


def _wait_ready(url: str, supervisor: Supervisor, stop: StopSignal) -> bool:
    """Wait until an answer comes; False when it is to stop before."""
    while not stop.wait(0.05):
        supervisor.check_started()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/v2/health/live", timeout=5.0, trust_env=False).is_success:
                return True
    return False


def name_deployment(text: str) -> str:
    """A name as it stands in a URL."""
    name = _NOT_IN_A_NAME.sub("-", text).strip("-.")
    if not name:
        raise InvalidInputError(f"{text!r} gives no name for a URL", hint="name the model with --name")
    return name


@contextlib.contextmanager
def _working_folder(log_folder: Path | None) -> Iterator[Path]:
    if log_folder is not None:
        log_folder.mkdir(parents=True, exist_ok=True)
        yield log_folder
        return
    with tempfile.TemporaryDirectory(prefix="penstock-serve-") as folder:
        yield Path(folder)

"""`penstock serve`: one model behind the gateway's protocols, without a project or a server."""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import InvalidInputError, PermissionDeniedError
from penstock.core.ids import Digest
from penstock.predictions.segment_log import SegmentLog
from penstock.processes.gateway import guard
from penstock.processes.listener import open_listener
from penstock.processes.serve import run_uvicorn
from penstock.registry.format.loaded import LoadedModel
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.port import LonePort
from penstock.serving.types import DeploymentRoute, RevisionRoute, Routing

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Served(msgspec.Struct, frozen=True):
    """What is served: a model by its name, and how it is opened."""

    name: str
    version: int
    tree: Digest
    open: Callable[[], LoadedModel]


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
    if config.host not in LOOPBACK and not config.token and not is_open:
        raise PermissionDeniedError(
            f"listening on {config.host} would let anyone on the network in",
            hint="name a file with a token in --token-file, or say --open where something else keeps strangers out",
        )
    model = served.open()
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(
            contextlib.closing(open_listener(config.host, config.port, what="gateway", option="--port"))
        )
        config = msgspec.structs.replace(config, gateway_port=listener.getsockname()[1])
        folder = opened.enter_context(_working_folder(log_folder))
        segments = SegmentLog(folder / "segments")
        gateway = Gateway(segments)
        revision = RevisionRoute(1, served.name, served.version, served.tree)
        routing = Routing(1, (DeploymentRoute(deployment=served.name, stable=revision),))
        loop = GatewayLoop(
            gateway, LonePort(routing, log_folder), segments, lambda tree: model, folder, name=f"serve-{os.getpid()}"
        )
        loop.step()
        loop.start()
        try:
            run_uvicorn(guard(gateway, config), listener, lambda: tell_ready(config.gateway_url))
        finally:
            loop.stop()


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

"""`penstock serve`: a model behind every protocol of the gateway, without a project."""

import contextlib
import os
import socket
import sys
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import UrlOption
from penstock.cli.server import read_token
from penstock.cli.session import open_nearby, open_services
from penstock.core import codec
from penstock.core.config import load_config
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.processes.child import log_to_stderr
from penstock.processes.gateway_workers import ONE_CORE, Worker
from penstock.processes.serve_model import Served, name_deployment, serve_in_workers, serve_model, serve_worker
from penstock.registry.loading import (
    AnyModel,
    digest_folder,
    needs_vouching,
    open_folder,
    open_model,
    set_up_vetting,
)
from penstock.registry.trust.types import Standing
from penstock.sdk.load import own_config

DEFAULT_PORT = 8080
# The platforms that start a container tell it where to listen.
PORT_VARIABLES = ("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")

app = command_app()


@app.command()
def serve(
    model: str = typer.Argument(help="A model directory with an MLmodel file, or models:/NAME@ALIAS, models:/NAME/3."),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; other than loopback needs a token, or --open."),
    port: int = typer.Option(
        None, help=f"Port to listen on; 0 is any free one. [default: {' or '.join(PORT_VARIABLES)}, or {DEFAULT_PORT}]"
    ),
    name: str = typer.Option("", help="What requests call it. [default: the model's own name]"),
    log: Path = typer.Option(
        None, help="Folder that keeps every prediction, as Parquet files. [default: none is kept]"
    ),
    token_file: Path = typer.Option(None, help="File with a token that every request has to show."),
    is_open: bool = typer.Option(False, "--open", help="Let anyone on the network ask, without a token."),
    workers: int = typer.Option(1, min=1, max=64, help="Processes that answer, all on one port."),
    json: bool = typer.Option(False, "--json", help="Print one line of JSON when it is ready."),
    url: str = UrlOption,
    fd: int = typer.Option(None, hidden=True, help="Socket of one of several workers."),
    worker: int = typer.Option(1, hidden=True, help="Which of them this is."),
) -> None:
    """Answer predictions of one model until Ctrl-C, in the protocols of MLflow, KServe, SageMaker and Vertex AI."""
    log_to_stderr("WARNING")
    os.environ.update(ONE_CORE)  # before a library that reads it is loaded with the model
    config = load_config(
        host=host, port=_read_port() if port is None else port, token=read_token(token_file) if token_file else None
    )
    if workers > 1 and fd is None:
        serve_in_workers(
            [sys.executable, "-m", "penstock", *sys.argv[1:]],
            config,
            workers,
            log_folder=log,
            is_open=is_open,
            tell_ready=lambda at: _tell(name_deployment(name or _short_name(model)), at, as_json=json),
            tell=lambda line: typer.echo(line, err=True),
        )
    else:
        served = _find(model, name, url)
        if fd is not None:
            serve_worker(served, config, socket.socket(fileno=fd), Worker(worker, workers), log)
            return
        serve_model(
            served,
            config,
            log_folder=log,
            is_open=is_open,
            tell_ready=lambda at: _tell(served.name, at, as_json=json),
        )
    if not json:
        typer.echo("stopped")


def _find(model: str, name: str, url: str) -> Served:
    if model.startswith("models:/"):
        with open_services(url) as services:
            version = services.registry.resolve(model)
            config = own_config()
            vetting = set_up_vetting(services.trust.get_standing, config)
            loaded = open_model(services.objects, version, config.cache, vetting)
        return Served(name_deployment(name or version.model), version.version, version.get_tree(), lambda: loaded)
    folder = Path(model)
    if not folder.exists():
        raise NotFoundError(
            f"there is no model directory {model}", hint="a registered model is named as in models:/churn@champion"
        )
    if not (folder / "MLmodel").is_file():
        raise InvalidInputError(
            f"{model} is no model directory: it has no MLmodel file", hint="save the model with penstock or MLflow"
        )
    return Served(
        name_deployment(name or folder.absolute().name), 1, Digest(""), lambda: _open_folder(folder, model, url)
    )


def _short_name(model: str) -> str:
    """What `_find` calls a model that has not been looked for yet."""
    if model.startswith("models:/"):
        return model.removeprefix("models:/").partition("@")[0].partition("/")[0]
    return Path(model).absolute().name


def _open_folder(folder: Path, name: str, url: str) -> AnyModel:
    """The model of a folder; who vouches for it is asked only where that matters."""
    standing = Standing(tree=Digest(""))
    if needs_vouching(folder):
        # Where nothing is kept, nobody can have vouched for it.
        with contextlib.suppress(NotFoundError), open_nearby(url) as services:
            standing = services.trust.get_standing(digest_folder(folder))
    return open_folder(folder, standing, set_up_vetting(lambda tree: standing, own_config()).settings, name=name)


def _read_port() -> int:
    for variable in PORT_VARIABLES:
        text = os.environ.get(variable, "")
        if text:
            if not text.isdigit():
                raise InvalidInputError(f"{variable} is {text!r}, which is no port", field=variable)
            return int(text)
    return DEFAULT_PORT


def _tell(name: str, url: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(codec.encode_text({"url": url, "name": name, "pid": os.getpid()}))
        return
    typer.echo(f"{name} is ready at {url}")
    typer.echo(f"  MLflow, SageMaker   POST {url}/invocations")
    typer.echo(f"  Open Inference V2   POST {url}/v2/models/{name}/infer")
    typer.echo(f"  KServe V1           POST {url}/v1/models/{name}:predict")
    typer.echo(f"  plain rows          POST {url}/predict/{name}")
    typer.echo("Stop with Ctrl-C.")

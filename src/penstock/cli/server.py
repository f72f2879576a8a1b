"""`penstock server`: a server that needs no project."""

import os
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.core import codec
from penstock.core.config import Config, load_config
from penstock.core.errors import InvalidInputError
from penstock.processes.child import log_to_stderr
from penstock.processes.standalone import serve_alone

app = command_app()


@app.command()
def server(
    home: Path = typer.Option(None, help="Folder that keeps everything. [default: .penstock]"),
    host: str = typer.Option(None, help="Address to listen on; other than loopback needs a token."),
    port: int = typer.Option(None, help="Port to listen on; 0 is any free one. [default: 5151]"),
    database: str = typer.Option(None, help="SQLAlchemy URL. [default: SQLite in the home folder]"),
    objects: str = typer.Option(
        None, help="Folder of artifacts and models, or s3://, gs://, az://. [default: in the home folder]"
    ),
    allow_host: list[str] = typer.Option([], help="A host name it answers to beside its address; may be repeated."),
    token_file: Path = typer.Option(None, help="File with a token that every request has to show."),
    json: bool = typer.Option(False, "--json", help="Print one line of JSON when it is ready."),
) -> None:
    """Track runs and keep models for a team: an MLflow-compatible server that needs no project, until Ctrl-C."""
    config = load_config(
        home=home,
        host=host,
        port=port,
        database=database,
        objects=objects,
        hosts=",".join(allow_host) or None,
        token=read_token(token_file) if token_file else None,
    )
    log_to_stderr("WARNING")
    serve_alone(config, lambda url: _tell(config, url, as_json=json))
    if not json:
        typer.echo("stopped")


def read_token(path: Path) -> str:
    """The token that a file holds as its one line.

    Raises:
        InvalidInputError: it holds none.
    """
    try:
        token = path.read_text().strip()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} holds no text", hint="write the token as one line") from error
    if not token:
        raise InvalidInputError(f"{path} holds no token", hint="write the token as one line")
    return token


def _tell(config: Config, url: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(codec.encode_text({"url": url, "home": str(config.home), "pid": os.getpid()}))
        return
    typer.echo(f"penstock server is ready at {url} (listens on {config.host})")
    typer.echo(f"  MLflow clients   export MLFLOW_TRACKING_URI={url}")
    typer.echo(f"  pages            {url}/")
    typer.echo(f"  everything       {config.home}")
    typer.echo("Stop with Ctrl-C.")

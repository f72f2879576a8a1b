"""`penstock demo`: watch a model live through the whole loop: suggestions of a shop, or suspicion of claims."""

import contextlib
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.cli.output import open_console
from penstock.core import codec
from penstock.core.config import Config
from penstock.core.project.places import project_config
from penstock.demo.fraud.run import FraudOptions, FraudResult, run_fraud
from penstock.demo.live import Handle
from penstock.demo.report import DemoResult, json_line
from penstock.demo.run import DemoOptions, run_demo
from penstock.processes.up import start_up
from penstock.remote.discovery import find_server
from penstock.remote.remote import open_remote
from penstock.storage.objects.open import open_object_store

app = command_app()
Story = Literal["shop", "fraud"]
_FOLDERS = {
    ("shop", False): "shop",
    ("shop", True): "shop-log",
    ("fraud", False): "claims",
    ("fraud", True): "claims-log",
}
PATIENCE_S = 120.0  # with a server that was killed and comes back


@app.command()
def demo(
    story: Story = typer.Option("shop", help="A shop that suggests products, or a claims office that looks for fraud."),
    data: Path = typer.Option(
        None, help="A real transaction log, or a file of real claims, Parquet or CSV, instead of the simulator."
    ),
    folder: Path = typer.Option(
        None,
        help="Where the project is written, and found again. [default: shop or claims, with --data also -log]",
    ),
    weeks: int = typer.Option(
        None, help="Weeks after the first release. [default: 24 of the shop, 128 of the claims, or all of the data]"
    ),
    seed: int = typer.Option(7, help="Of the simulator."),
    keep: bool = typer.Option(False, "--keep", help="Leave everything running at the end, until Ctrl-C."),
    json: bool = JsonOption,
) -> None:
    """Train, release, watch, retrain and release again, unattended, and measure what it brought.

    A simulated shop's customers, or those of a real log, are served week by week; or motor claims, of which some are
    fraud that is found out late, four weeks at a time. Interrupted, the same command goes on where it was. With --json
    the last line of standard output is the result.
    """
    console = open_console(stderr=json)
    folder = folder or Path(_FOLDERS[story, data is not None])

    def start(project: Path) -> contextlib.AbstractContextManager[Handle]:
        return _started(project, console)

    def linger(result: DemoResult | FraudResult) -> None:
        console.print(f"\nthe pages of this project: {result.page_url}" if keep else "")
        if keep:
            console.print("[dim]everything is left running; Ctrl-C stops it[/dim]")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
        else:
            _tell_how_to_look(console, folder)

    try:
        if story == "fraud":
            periods = None if weeks is None else weeks // 4
            told = codec.encode_text(
                run_fraud(FraudOptions(folder=folder, data=data, periods=periods, seed=seed), start, console, linger)
            )
        else:
            told = json_line(
                run_demo(DemoOptions(folder=folder, data=data, weeks=weeks, seed=seed), start, console, linger)
            )
    except KeyboardInterrupt:
        console.print("\n[yellow]interrupted[/yellow]: the same command goes on where it was")
        sys.exit(130)
    if json:
        typer.echo(told)


@contextlib.contextmanager
def _started(project: Path, console: Console) -> Iterator[Handle]:
    """The processes of a project: those that run already, or our own on free ports."""
    config = project_config(project)
    server = find_server(config.home)
    if server is not None:
        with _handle(config, server.url, server.gateway_url) as handle:
            yield handle
        return
    config = msgspec.structs.replace(
        config, port=_free(config.host, config.port), gateway_port=_free(config.host, config.gateway_port)
    )
    with start_up(project, config, lambda line: console.print(f"[yellow]{escape(line)}[/yellow]")) as running:
        running.wait_ready()
        console.print(f"[dim]pages {running.url} · predictions {running.gateway_url} · logs {config.logs}[/dim]")
        with _handle(config, running.url, running.gateway_url) as handle:
            yield handle


@contextlib.contextmanager
def _handle(config: Config, url: str, gateway_url: str) -> Iterator[Handle]:
    objects = open_object_store(config.objects_url)
    services = open_remote(url, token=config.token, patience_s=PATIENCE_S, objects=objects)
    with contextlib.closing(services):
        yield Handle(services, gateway_url, url, config.cache, config.token)


def _free(host: str, port: int) -> int:
    """The port itself where nobody listens on it, else 0: any free one."""
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return 0
    return port


def _tell_how_to_look(console: Console, folder: Path) -> None:
    program = "penstock" if shutil.which("penstock") else f"{sys.executable} -m penstock"
    console.print(f"\nto look around: cd {folder}, then {program} up, and open its page; or {program} status")

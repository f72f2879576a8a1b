"""`penstock up`: start this project."""

from pathlib import Path

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.cli.output import console, open_console, print_json
from penstock.core.project.parse import FILE_NAME, load_project
from penstock.core.project.places import find_project_folder, project_config
from penstock.processes.child import hear_stop
from penstock.processes.up import start_up

app = command_app()


@app.command()
def up(
    host: str = typer.Option(None, help="Address to listen on; other than loopback needs PENSTOCK_TOKEN."),
    port: int = typer.Option(None, help="Port of the server and its pages. [default: 5151]"),
    gateway_port: int = typer.Option(None, help="Port where predictions are answered. [default: 5152]"),
    workers: int = typer.Option(
        None, min=1, max=64, help="Processes that answer predictions. [default: as the project says]"
    ),
    json: bool = JsonOption,
) -> None:
    """Start this project: server, web page, gateway, controller and worker, until Ctrl-C or 'penstock stop'."""
    folder = find_project_folder(Path.cwd())
    project = load_project(folder / FILE_NAME)
    config = project_config(folder, host=host, port=port, gateway_port=gateway_port)
    stop = hear_stop()
    with start_up(folder, config, _tell, workers=workers or project.deploy.workers) as running:
        if not running.wait_ready(stop):
            return
        if json:
            print_json({"url": running.url, "gateway_url": running.gateway_url, "pids": running.supervisor.pids})
        else:
            console.print(f"[bold green]{project.name} is up[/bold green]")
            console.print(f"  pages and API   {running.url}")
            console.print(f"  predictions     {running.gateway_url}/v2/models/{project.name}/infer")
            console.print(f"  state and logs  {config.home}")
            console.print("[dim]Train and release with 'penstock run' in another terminal; stop with Ctrl-C.[/dim]")
        stop.wait()
        if not json:
            console.print("stopping ...")


def _tell(line: str) -> None:
    """To standard error, so that what --json prints stays JSON."""
    open_console(stderr=True).print(f"[yellow]{escape(line)}[/yellow]")

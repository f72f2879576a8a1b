"""`penstock stop`: stop what `penstock up` started here."""

from pathlib import Path

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.cli.output import console, print_json
from penstock.core.project.places import find_project_folder, project_config
from penstock.processes.up import stop_up

app = command_app()


@app.command()
def stop(json: bool = JsonOption) -> None:
    """Stop this project's processes; they finish what they write, and nothing is lost."""
    config = project_config(find_project_folder(Path.cwd()))
    process = stop_up(config.home)
    if json:
        print_json({"stopped": process})
    else:
        console.print(f"stopped (process {process})")

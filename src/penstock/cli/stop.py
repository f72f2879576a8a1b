"""`penstock stop`: stop what `penstock up` started here."""

from pathlib import Path

from penstock.cli.apps import command_app
from penstock.cli.output import JsonOption, console, print_json
from penstock.processes.up import stop_up
from penstock.sdk.connect import find_project_folder, project_config

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

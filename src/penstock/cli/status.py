"""`penstock status`: which of the seven stages hold, and the evidence."""

from msgspec import to_builtins
from rich.markup import escape

from penstock.catalogue.lifecycle import read_lifecycle
from penstock.cli.apps import command_app
from penstock.cli.monitor.windows import print_lamps
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services

app = command_app()


@app.command()
def status(json: bool = JsonOption, url: str = UrlOption) -> None:
    """Which of the seven stages hold, and the evidence; going back a stage is normal."""
    project = open_project()
    with open_services(url) as services:
        found = read_lifecycle(services, project)
        lamps = services.monitoring.get_lamps(project.name)
    if json:
        print_json({**to_builtins(found), "lamps": lamps})
        return
    console.print(f"[bold]{project.name}[/bold]: {found.holding} of 7 stages hold\n")
    for stage in found.stages:
        mark = "[green]●[/green]" if stage.holds else "[dim]○[/dim]"
        console.print(f"  {mark} {stage.number} {stage.name}")
        console.print(f"      [dim]{escape(stage.evidence)}[/dim]")
    console.print()
    print_lamps(lamps)
    console.print(f"\nthe loop waits for: {escape(found.waiting_for)}")

"""`penstock audit`: the audit log, and whether it is whole."""

from pathlib import Path

import typer
from rich.markup import escape

from penstock.cli.apps import group_app
from penstock.cli.options import HomeOption, JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_home
from penstock.core.codec import encode_text

app = group_app("List audit events, or verify their chain.")


@app.command("list")
def list_events(
    limit: int = typer.Option(30, help="How many events, the newest ones."),
    action: str = typer.Option("", help="Only this action, such as registry.move_alias."),
    subject: str = typer.Option("", help="Only events about this kind:id."),
    home: Path = HomeOption,
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Who did what, when (UTC), to what; the newest last."""
    with open_home(home, url) as services:
        events = services.governance.list_events(limit=limit, action=action, subject=subject, newest_first=True)
    events.reverse()
    if json:
        print_json(events)
        return
    for event in events:
        console.print(f"[bold]{event.number:>4}[/bold] {event.at:%Y-%m-%d %H:%M:%S} {escape(event.actor)}", end="  ")
        console.print(f"[bold]{event.action}[/bold] {escape(str(event.subject))}")
        console.print(f"     [dim]{escape(_shorten(encode_text(event.detail)))}[/dim]")
    if not events:
        console.print("[dim]Nothing has happened yet.[/dim]")


@app.command()
def verify(home: Path = HomeOption, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Recompute the whole chain and hold it against the signed checkpoints; exit code 1 when it is not whole."""
    with open_home(home, url) as services:
        report = services.governance.verify_audit()
    if json:
        print_json(report)
    elif report.is_whole:
        console.print(f"[green]whole[/green]: {report.events} events, {report.checkpoints} signed checkpoints")
    else:
        console.print("[red]the audit log was tampered with[/red]")
        for problem in report.problems:
            console.print(f"  - {escape(str(problem))}")
    raise typer.Exit(0 if report.is_whole else 1)


def _shorten(text: str) -> str:
    room = max(console.width, 60) - 6
    return text if len(text) <= room else text[: room - 3] + "..."

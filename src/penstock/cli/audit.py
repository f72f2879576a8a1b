"""`penstock audit`: the audit log, and whether it is whole."""

import typer

from penstock.cli.output import JsonOption, console, print_json, print_table
from penstock.cli.session import UrlOption, open_services
from penstock.core.codec import encode_text

app = typer.Typer(no_args_is_help=True, help="List audit events, or verify their chain.")


@app.command("list")
def list_events(
    limit: int = typer.Option(30, help="How many events, the newest ones."),
    action: str = typer.Option("", help="Only this action, such as registry.move_alias."),
    subject: str = typer.Option("", help="Only events about this kind:id."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Who did what, when, to what; the newest last."""
    with open_services(url) as services:
        events = services.governance.list_events(limit=limit, action=action, subject=subject, newest_first=True)
    events.reverse()
    if json:
        print_json(events)
        return
    rows = [(e.number, e.at, e.actor, e.action, e.subject, _shorten(encode_text(e.detail))) for e in events]
    print_table([">#", "when (UTC)", "who", "action", "what", "detail"], rows, empty="Nothing has happened yet.")


@app.command()
def verify(json: bool = JsonOption, url: str = UrlOption) -> None:
    """Recompute the whole chain and hold it against the signed checkpoints; exit code 1 when it is not whole."""
    with open_services(url) as services:
        report = services.governance.verify_audit()
    if json:
        print_json(report)
    elif report.is_whole:
        console.print(f"[green]whole[/green]: {report.events} events, {report.checkpoints} signed checkpoints")
    else:
        console.print("[red]the audit log was tampered with[/red]")
        for problem in report.problems:
            console.print(f"  - {problem}")
    raise typer.Exit(0 if report.is_whole else 1)


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."

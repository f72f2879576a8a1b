"""`penstock verify`: read every stored object again."""

from pathlib import Path

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import HomeOption, JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_home

app = command_app()


@app.command()
def verify(home: Path = HomeOption, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Read every stored object again and check it against its digest; exit code 1 when one is damaged or missing."""
    with open_home(home, url) as services:
        report = services.objects.verify(services.governance.list_kept_objects())
        audit = services.governance.verify_audit()
    if json:
        print_json({"objects": report, "audit": audit})
    else:
        found = [str(problem) for problem in (*report.damaged, *report.missing)]
        _print(found, f"{report.objects} objects", "objects are damaged or missing")
        _print(audit.problems, f"{audit.events} audit events", "the audit log was tampered with")
    raise typer.Exit(0 if audit.is_whole and report.passed else 1)


def _print(problems: list[str], whole: str, broken: str) -> None:
    if not problems:
        console.print(f"[green]whole[/green]: {whole}")
        return
    console.print(f"[red]{broken}[/red]")
    for problem in problems:
        console.print(f"  - {escape(str(problem))}")

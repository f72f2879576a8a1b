"""`penstock verify`: read every stored object again."""

from pathlib import Path

import typer
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.options import HomeOption, JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_home
from penstock.governance.upkeep.right import holding
from penstock.storage.objects.open import open_blobs
from penstock.storage.objects.repair import Repairer, RepairReport

app = command_app()
HERE = "here"


@app.command()
def verify(
    repair: str = typer.Option("", "--repair", metavar="REMOTE", help=f"Mend from this store; {HERE}: from this one."),
    home: Path = HomeOption,
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Read every stored object again and check it against its digest; exit code 1 when one is damaged or missing."""
    with open_home(home, url) as services:
        mended = _mend(services, repair) if repair else None
        report = mended.after if mended else services.objects.verify(services.governance.list_kept_objects())
        audit = services.governance.verify_audit()
    if json:
        print_json({"objects": report, "audit": audit} | ({"repair": mended} if mended else {}))
    else:
        if mended is not None:
            _print_mended(mended)
        found = [str(problem) for problem in (*report.damaged, *report.missing)]
        _print(found, f"{report.objects} objects", "objects are damaged or missing")
        _print(audit.problems, f"{audit.events} audit events", "the audit log was tampered with")
    raise typer.Exit(0 if audit.is_whole and report.passed else 1)


def _mend(services: Services, repair: str) -> RepairReport:
    good = None if repair == HERE else open_blobs(repair)
    with holding(services.upkeep, "objects"):  # nobody collects meanwhile
        return Repairer(services.objects.blobs, good).run(services.governance.list_kept_objects())


def _print_mended(mended: RepairReport) -> None:
    problems = len(mended.before.damaged) + len(mended.before.missing)
    if not problems:
        return
    restored, moved = len(mended.restored), mended.salvaged
    console.print(f"{problems:,} problems: {restored:,} objects brought back, {moved:,} moved to another pack")
    for key in mended.set_aside:
        console.print(f"  [dim]the bad copy is kept as {key}[/dim]")


def _print(problems: list[str], whole: str, broken: str) -> None:
    if not problems:
        console.print(f"[green]whole[/green]: {whole}")
        return
    console.print(f"[red]{broken}[/red]")
    for problem in problems:
        console.print(f"  - {escape(str(problem))}")

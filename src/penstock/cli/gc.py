"""`penstock gc`: delete what nothing refers to any more."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer
from msgspec import structs
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.options import HomeOption, JsonOption, UrlOption
from penstock.cli.output import amount, console, print_json
from penstock.cli.session import open_home
from penstock.core.clock import format_duration, parse_duration
from penstock.core.config import load_config
from penstock.core.errors import InvalidInputError
from penstock.governance.upkeep.right import holding
from penstock.governance.upkeep.types import Freed
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.collection.collector import Collector
from penstock.storage.objects.collection.owner import Owner, check_owner, find_owner, take_store
from penstock.storage.objects.collection.packing import LoosePacker
from penstock.storage.objects.collection.types import CollectionReport
from penstock.storage.objects.open import open_blobs

app = command_app()


@app.command()
def gc(
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be done."),
    grace: str = typer.Option("", help="How long what nothing refers to waits, such as 12h; 0 for not at all."),
    thorough: bool = typer.Option(
        False, "--thorough", help="Also rewrite files of which only a little is due, so that no byte of it stays."
    ),
    remote: str = typer.Option("", "--remote", help="Collect this shared store, not the project's own."),
    claim: bool = typer.Option(False, "--claim", help="Take a store over whose database is no more."),
    home: Path = HomeOption,
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Condemn what nothing refers to, delete what was for long enough, pack the rest; exit code 1 on problems."""
    wait = _parse_grace(grace or load_config().grace)
    with open_home(home, url) as services:
        blobs = open_blobs(remote) if remote else services.objects.blobs
        _own(blobs, services, is_shared=bool(remote), claim=claim, dry_run=dry_run)
        report = _collect(blobs, services, wait, remote or "objects", thorough=thorough, dry_run=dry_run)
    if json:
        print_json(report)
    else:
        _print(report, wait)
    raise typer.Exit(1 if report.problems else 0)


def _parse_grace(text: str) -> timedelta:
    if text.rstrip("smhdw") == "0":
        return timedelta(0)
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is no length of time", hint="write 0, 12h, 7d or 2w") from error


def _own(blobs: BlobStore, services: Services, *, is_shared: bool, claim: bool, dry_run: bool) -> None:
    """Let only the owner collect; a project's own store is its database's when it is nobody else's."""
    database = services.upkeep.get_database_id()
    me = Owner(database, services.place, datetime.now(UTC))
    found = find_owner(blobs)
    if not dry_run and (claim or (found is None and not is_shared)):
        found = take_store(blobs, me, replace=claim)
    if found is None and not is_shared:
        return
    check_owner(found, database)


def _collect(
    blobs: BlobStore, services: Services, grace: timedelta, store: str, *, thorough: bool, dry_run: bool
) -> CollectionReport:
    def references() -> list[str]:
        return [each.digest for each in services.upkeep.list_references()]

    if dry_run:
        return Collector(blobs, references, grace=grace, thorough=thorough).run(dry_run=True)  # type: ignore[arg-type]
    with holding(services.upkeep, store) as (renew, done):
        collector = Collector(blobs, references, grace=grace, renew=renew, thorough=thorough)  # type: ignore[arg-type]
        report = collector.run()
        if (
            not grace and report.condemned.size
        ):  # what is condemned now is deleted by the next collection at the earliest
            again = collector.run()
            report = structs.replace(
                again,
                condemned=report.condemned,
                spared=report.spared,
                deleted=report.deleted + again.deleted,
                rewritten=report.rewritten + again.rewritten,
            )
        report = structs.replace(report, packed=LoosePacker(blobs, renew=renew).run().objects)
        done.append(
            Freed(
                store=store,
                condemned=report.condemned.objects,
                deleted=report.deleted.objects,
                freed=report.deleted.size,
            )
        )
    return report


def _print(report: CollectionReport, grace: timedelta) -> None:
    would = "would be " if report.dry_run else ""
    deleted, condemned, waiting = report.deleted, report.condemned, report.waiting
    console.print(f"{would}deleted: {deleted.objects:,} objects, {amount(deleted.size)}", highlight=False)
    console.print(f"{would}condemned: {condemned.objects:,} objects, {amount(condemned.size)}")
    if waiting.objects and report.next_at is not None:
        console.print(f"waiting: {waiting.objects:,} objects, the first until {report.next_at:%Y-%m-%d %H:%M} UTC")
    if report.held_by:
        count = len(report.held_by)
        told = "1 process is" if count == 1 else f"{count} processes are"
        console.print(f"[dim]{told} at work here, for which some wait an hour at least[/dim]")
    if report.packed:
        console.print(f"packed: {report.packed:,} objects that were files of their own")
    if report.spared:
        console.print(f"needed again: {report.spared:,} objects")
    console.print(f"kept: {report.kept.objects:,} objects, {amount(report.kept.size)}")
    if not report.judged:
        console.print("[red]nothing was condemned or deleted[/red]: what leads on to others cannot be read")
    for problem in report.problems:
        console.print(f"  - {escape(problem)}")
    if not report.judged:
        console.print("  'penstock verify --repair REMOTE' may bring it back")
    if grace and not (deleted.objects or condemned.objects or waiting.objects):
        console.print(f"[dim]nothing is of no use; what will be waits {format_duration(grace)} first[/dim]")

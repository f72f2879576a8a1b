"""`penstock sync`: deliver what runs logged while no server could be reached."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer
from msgspec import Struct
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.cli.output import console, print_json
from penstock.cli.session import check_url
from penstock.core.errors import NotFoundError, PenstockError
from penstock.sdk.connect import connect_place
from penstock.sdk.spool.folder import adopt_spool, list_spools, read_info
from penstock.sdk.spool.orphans import deliver_orphan
from penstock.sdk.spool.roots import known_roots

app = command_app()

FolderArgument = typer.Argument(None, help="A folder of spools, such as a copy from another machine.")
UrlOption = typer.Option("", "--url", help="The server to deliver to, whatever the spools were meant for.")


class Synced(Struct, frozen=True):
    """What became of a spool."""

    spool: str
    run_id: str
    state: str  # delivered, live (its process goes on), or failed
    delivered: int = 0  # records
    refused: int = 0
    problem: str = ""


@app.command()
def sync(folder: Path | None = FolderArgument, url: str = UrlOption, json: bool = JsonOption) -> None:
    """Deliver what runs logged while no server could be reached; exit code 1 when something stays or was refused."""
    check_url(url)
    if folder is not None and not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", hint="without one, all of your spools are delivered")
    roots = list(dict.fromkeys([folder.absolute()] if folder else known_roots()))
    opened: dict[str, Services] = {}
    done = []
    try:
        for path in (path for root in roots for path in list_spools(root)):
            done.append(_sync_one(path, url.rstrip("/"), opened))
            if not json:
                _print(done[-1])
    finally:
        for services in opened.values():
            services.close()
    rejected = [path for root in roots for path in sorted(root.glob("*.rejected"))]
    if json:
        print_json({"spools": done, "rejected": [str(path) for path in rejected]})
    else:
        _print_summary(done, rejected)
    failed = any(each.state == "failed" or each.refused for each in done)
    raise typer.Exit(1 if failed else 0)


def _sync_one(path: Path, url: str, opened: dict[str, Services]) -> Synced:
    name, run_id = path.name[:26], path.name[27:]
    try:
        folder = adopt_spool(path)
        if folder is None:
            pid = read_info(path).pid if path.exists() else 0
            return Synced(name, run_id, "live", problem=f"process {pid} goes on with it" if pid else "already gone")
        place = url or folder.info.place
        if place not in opened:
            try:
                opened[place] = connect_place(place)
            except BaseException:
                folder.release()
                raise
        report = deliver_orphan(folder, opened[place])
    except (PenstockError, OSError) as error:
        return Synced(name, run_id, "failed", problem=str(error))
    return Synced(name, run_id, "delivered", report.delivered, report.refused)


def _print(synced: Synced) -> None:
    colour = {"delivered": "green", "live": "dim", "failed": "red"}[synced.state]
    told = f"{synced.delivered} records" + (f", {synced.refused} refused" if synced.refused else "")
    text = told if synced.state == "delivered" else synced.problem
    console.print(f"[{colour}]{synced.state}[/{colour}] run {escape(synced.run_id)}: {escape(text)}")


def _print_summary(done: list[Synced], rejected: list[Path]) -> None:
    delivered = [each for each in done if each.state == "delivered"]
    if not done:
        console.print("nothing waits to be delivered")
    else:
        records = sum(each.delivered for each in delivered)
        console.print(f"{len(delivered)} of {len(done)} spools delivered, {records} records")
    for path in rejected:
        console.print(f"what a server refused is kept in {escape(str(path))}; remove it when you have seen it")
        for line in _first_lines(path):
            console.print(f"  {escape(line)}")


def _first_lines(path: Path, limit: int = 3) -> Iterator[str]:
    """The reasons, each once."""
    reasons: dict[str, int] = {}
    for line in path.read_bytes().splitlines():
        try:
            message = str(msgspec.json.decode(line)["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            continue
        reasons[message] = reasons.get(message, 0) + 1
    for message, count in list(reasons.items())[:limit]:
        yield f"{message} ({count} records)" if count > 1 else message

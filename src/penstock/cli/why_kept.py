"""`penstock why-kept`: what leads to an object."""

from pathlib import Path

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import HomeOption, JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_home
from penstock.core.clock import parse_duration
from penstock.core.config import load_config
from penstock.core.ids import Digest
from penstock.storage.objects.collection.why import Chain, Explanation, explain_object
from penstock.storage.objects.format import parse_digest

app = command_app()


@app.command()
def why_kept(
    digest: str = typer.Argument(help="The digest of an object: 64 hexadecimal digits."),
    home: Path = HomeOption,
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What refers to an object, and the way down to it; or since when it is condemned."""
    parse_digest(digest)
    with open_home(home, url) as services:
        references = [(each.owner, each.digest) for each in services.upkeep.list_references()]
        found = explain_object(services.objects.blobs, references, Digest(digest))
    if json:
        print_json(found)
        return
    _print(found)


def _print(found: Explanation) -> None:
    if not found.stored:
        console.print("[red]it is needed, and not in the store[/red]")
    for chain in found.chains:
        _print_chain(chain)
    if found.owners > len(found.chains):
        console.print(f"and {found.owners - len(found.chains):,} more")
    for problem in found.problems:
        console.print(f"[dim]{escape(problem)}, so that what it leads to is not known[/dim]")
    if found.chains:
        return
    if found.condemned_since is None:
        console.print("nothing leads to it; the next 'penstock gc' condemns it")
        return
    until = found.condemned_since + parse_duration(load_config().grace)
    console.print(
        f"condemned since {found.condemned_since:%Y-%m-%d %H:%M} UTC, "
        f"deleted by the first 'penstock gc' after {until:%Y-%m-%d %H:%M} UTC"
    )


def _print_chain(chain: Chain) -> None:
    console.print(f"[bold]{escape(str(chain.owner))}[/bold]")
    for depth, step in enumerate(chain.steps, 1):
        name = f"{escape(step.name)}  " if step.name else ""
        console.print(f"{'  ' * depth}{name}[dim]{step.digest}[/dim]")

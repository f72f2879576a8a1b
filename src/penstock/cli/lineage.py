"""`penstock lineage REF`: what something came from, or what came from it."""

import typer
from rich.markup import escape
from rich.tree import Tree

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_services
from penstock.core.errors import InvalidInputError
from penstock.core.ids import Ref
from penstock.governance.types import Lineage

app = command_app()


@app.command()
def lineage(
    ref: str = typer.Argument(
        help="kind:id, such as model-version:shop/3, run:01j..., dataset-version:events/2 or prediction:ID."
    ),
    up: bool = typer.Option(False, "--up", help="What it came from (the default)."),
    down: bool = typer.Option(False, "--down", help="What came from it."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Walk the lineage graph from one thing: upstream to its sources, or downstream to all it reached."""
    if up and down:
        raise InvalidInputError("choose one of --up and --down")
    with open_services(url) as services:
        found = services.governance.trace_lineage(_traced(ref), "down" if down else "up")
    if json:
        print_json(found)
        return
    if not found.edges:
        console.print(f"[dim]nothing is known {'downstream' if down else 'upstream'} of {escape(ref)}[/dim]")
        return
    console.print(_tree(found, downstream=down))


def _traced(ref: str) -> str:
    """What the graph knows of a thing: a prediction is a row of its segment."""
    kind, _, name = ref.partition(":")
    return f"segment:{name.rpartition('-')[0]}" if kind == "prediction" and "-" in name else ref


def _tree(found: Lineage, *, downstream: bool) -> Tree:
    neighbours: dict[Ref, list[tuple[str, Ref]]] = {}
    for edge in found.edges:
        here, there = (edge.source, edge.target) if downstream else (edge.target, edge.source)
        neighbours.setdefault(here, []).append((edge.relation, there))
    root = Tree(f"[bold]{escape(str(found.start))}[/bold]")
    _grow(root, found.start, neighbours, seen={found.start})
    return root


def _grow(tree: Tree, ref: Ref, neighbours: dict[Ref, list[tuple[str, Ref]]], seen: set[Ref]) -> None:
    for relation, other in neighbours.get(ref, []):
        again = other in seen
        branch = tree.add(f"[dim]{relation}[/dim] {escape(str(other))}{' [dim](shown above)[/dim]' if again else ''}")
        if not again:
            seen.add(other)
            _grow(branch, other, neighbours, seen)

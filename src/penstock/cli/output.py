"""How commands print: tables for people, one JSON document for programs."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table

from penstock.core import codec
from penstock.core.clock import format_duration

JsonOption = typer.Option(False, "--json", help="Print JSON instead of a table.")
console = Console(highlight=False, soft_wrap=False)


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(codec.encode_text(value))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table without lines; `empty` says what to do when it has no rows; `>` before a column name aligns it right."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    console.print(table if table.row_count else f"[dim]{empty}[/dim]")


def cell(value: object) -> str:
    """One value as people read it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
        case _:
            return str(value)


def ago(moment: datetime) -> str:
    """How long ago, as people say it."""
    return format_duration(datetime.now(UTC) - moment) + " ago"

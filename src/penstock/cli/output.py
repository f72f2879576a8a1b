"""How commands print: tables for people, one JSON document for programs."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock.core import codec
from penstock.core.clock import format_duration

SMALLEST_WIDTH = 12  # of the last column of a table
_PIPED_WIDTH = 1_000  # nobody cuts the lines of what another program reads


def open_console(*, stderr: bool = False) -> Console:
    """A console without guesses: no highlighting, no wrapping of sentences, one line a row where nobody looks."""
    is_seen = (sys.stderr if stderr else sys.stdout).isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if is_seen else _PIPED_WIDTH)


console = open_console()


class Markup(str):
    """A cell whose markup is meant."""


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(codec.encode_text(value))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table without lines.

    Args:
        columns: their names; `>` before one aligns it right. Only the last one is wrapped, or cut if its name ends in
            three dots.
        rows: a value for each column.
        empty: what to print when there are none: what to do, or nothing.
    """
    names = [column.lstrip(">").removesuffix("...") for column in columns]
    texts = [[value if isinstance(value, Markup) else escape(cell(value)) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[place]) for row in texts), 0) for place, name in enumerate(names)]
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=any(columns))
    for place, (column, name) in enumerate(zip(columns, names, strict=True), 1):
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        is_last, is_cut = place == len(columns), column.endswith("...")
        width = SMALLEST_WIDTH if is_last else widths[place - 1]
        overflow: Literal["ellipsis", "fold"] = "ellipsis" if is_cut else "fold"
        table.add_column(name, justify=justify, no_wrap=is_cut or not is_last, overflow=overflow, min_width=width)
    for row in texts:
        table.add_row(*row)
    if table.row_count:
        console.print(table, soft_wrap=False)
    elif empty:
        console.print(f"[dim]{empty}[/dim]")


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
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 1:
        return "now"
    size = next((size for limit, size in ((120, 1), (7_200, 60), (172_800, 3_600)) if seconds < limit), 86_400)
    return format_duration(timedelta(seconds=seconds // size * size)) + " ago"


def amount(size: int) -> str:
    """Bytes as people say them."""
    value, unit = float(size), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"

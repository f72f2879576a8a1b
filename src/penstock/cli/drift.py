"""`penstock drift`: has a table moved away from another?"""

from pathlib import Path

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import Markup, console, print_json, print_table
from penstock.cli.pictures import picture_pair
from penstock.cli.session import check_url
from penstock.monitoring.table_drift import LEVEL, ComparedColumn, TableDrift, compare_tables
from penstock.sdk import drift as sketches
from penstock.sdk.connect import connect

app = command_app()
_DRIFTED = 1  # the exit code; main.py gives 2 where nothing could be compared


@app.command()
def drift(
    reference: str = typer.Argument(
        help="What was: a file (CSV, Parquet, JSON Lines, Arrow, Excel), a folder or a quoted pattern of files, "
        "a .sketch, or NAME@VERSION of a dataset."
    ),
    current: str = typer.Argument(help="What is, likewise."),
    level: float = typer.Option(LEVEL, help="Chance that any column is called moved where none has."),
    columns: str = typer.Option("", help="Only these columns, separated by commas."),
    key: str = typer.Option("", help="The column that says which rows belong together, such as a customer."),
    by: str = typer.Option("", help="Compare segments, too: the rows with each value of these columns, by commas."),
    html: Path = typer.Option(None, help="Write a report with pictures to this file."),
    keep: Path = typer.Option(None, help="Write the sketch of REFERENCE to this file, which ends with .sketch."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Compare two tables of any size. The exit code: 0 nothing has moved, 1 something has, 2 nothing was compared."""
    check_url(url)
    chosen, slices = ([name.strip() for name in text.split(",") if name.strip()] for text in (columns, by))
    services = connect(url) if url else None
    before = sketches.sketch(reference, columns=() if keep else chosen, key=key, by=slices, services=services)
    if keep:
        sketches.save(before, keep)
    after = sketches.sketch(current, key=key, like=before, services=services)
    found = compare_tables(before, after, names=(reference, current), level=level, columns=chosen)
    if html:
        from penstock.server.web.drift_report import draw_report  # templates: only where a report is asked for

        html.write_text(draw_report(found), "utf-8")
    if json:
        print_json({"drifted": found.drifted, **{name: getattr(found, name) for name in found.__struct_fields__}})
    else:
        _print(found, html)
    raise typer.Exit(_DRIFTED if found.drifted else 0)


def _print(found: TableDrift, html: Path | None) -> None:
    told = f"{len(found.drifted)} of {len(found.columns)} columns moved" if found.drifted else "no column moved"
    console.print(
        f"[bold]{told}[/bold]: {escape(found.reference)} ({found.reference_rows:,} rows) to "
        f"{escape(found.current)} ({found.current_rows:,} rows), at a level of {found.level:g} over all columns"
    )
    head = ["column", "", ">distance", ">p-value", "test", "reference", "current", "note"]
    ordered = sorted(found.columns, key=lambda column: (not column.drifted, -(column.result.distance or 0.0)))
    print_table(head, [_row(column) for column in ordered], empty="")
    if found.added:
        console.print(f"  new columns, of which nothing can be said: {escape(', '.join(found.added))}")
    for note in found.segment_notes:
        console.print(f"  {escape(note)}")
    if html:
        console.print(f"  pictures: {escape(str(html))}")


def _row(column: ComparedColumn) -> list[object]:
    result = column.result
    verdict = Markup("[bold red]moved[/bold red]") if column.drifted else ("-" if result.test == "none" else "still")
    p_value = None if result.p_value is None else f"{result.p_value:.2g}"
    bars = column.spread.bars if column.spread else ()
    where = f"moved where {' or '.join(result.segments_drifted)}" if result.segments_drifted else ""
    note = "; ".join(part for part in (where, result.note) if part)
    return [column.name, verdict, result.distance, p_value, result.test, *picture_pair(bars), note]

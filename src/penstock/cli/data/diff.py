"""`penstock data diff`: two versions compared."""

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.pictures import picture_pair
from penstock.cli.session import open_services
from penstock.datasets.diff.types import DatasetDiff, RowDiff, RowSample
from penstock.datasets.diff.versions import diff_versions

app = command_app()
_FILES_SHOWN = 10


@app.command()
def diff(
    dataset: str = typer.Argument(help="A dataset."),
    before: int = typer.Argument(help="A version."),
    after: int = typer.Argument(help="A later version."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What changed between two versions: files, columns, rows by key, distributions; its page is /data/DATASET/diff."""
    with open_services(url) as services:
        first, second = (services.datasets.get_version(dataset, version) for version in (before, after))
        found = diff_versions(services.objects, first, second)
    if json:
        print_json(found)
        return
    is_table = bool(first.files and second.files)
    counts = (first.rows, second.rows) if is_table else (first.file_count, second.file_count)
    what = "rows" if is_table else "files"
    console.print(f"[bold]{dataset}[/bold] version {before} to {after}: {counts[0]:,} to {counts[1]:,} {what}")
    _print_files(found)
    if not is_table:
        return
    for change in found.schema:
        console.print(f"  column {escape(str(change))}")
    if found.rows is not None:
        _print_rows(found.rows)
    moved = [
        (
            c.name,
            c.distance,
            "chance" if c.is_chance else "moved",
            c.before.mean,
            c.after.mean,
            *picture_pair(c.spread.bars),
        )
        for c in found.columns
        if c.is_noteworthy
    ]
    head = ["column", ">distance", "", ">mean before", ">mean after", "spread before", "spread after"]
    print_table(head, moved, empty="No column's values moved.")


def _print_files(found: DatasetDiff) -> None:
    for file in found.files[:_FILES_SHOWN]:
        sizes = " to ".join(f"{size:,}" for size in (file.size_before, file.size_after) if size is not None)
        console.print(f"  file {escape(file.path)} was {file.change} ({sizes} bytes)")
    if len(found.files) > _FILES_SHOWN:
        console.print(f"  and {len(found.files) - _FILES_SHOWN:,} files more")


def _print_rows(rows: RowDiff) -> None:
    by = f"by {rows.key}" if rows.key else "whole rows"
    console.print(f"  {by}: {rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed")
    if rows.columns:
        told = ", ".join(f"{column.name} ({column.rows:,})" for column in rows.columns)
        console.print(f"  changed in {escape(told)}")
    for sample in rows.samples:
        console.print(f"      [dim]{escape(_tell(sample))}[/dim]")
    if rows.samples and (more := rows.added + rows.removed + rows.changed - len(rows.samples)):
        console.print(f"      [dim]and {more:,} more[/dim]")


def _tell(sample: RowSample) -> str:
    told = ", ".join(
        f"{name} {sample.before[name]!r} -> {value!r}" if name in sample.before else f"{name} {value!r}"
        for name, value in sample.values.items()
    )
    return f"{sample.change}: {told}"

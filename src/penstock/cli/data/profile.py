"""`penstock data profile`: what the columns of a version or of a table look like."""

from collections.abc import Iterator
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.sections import TableArgument, chosen_sections, is_table
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.datasets.frames import open_files
from penstock.datasets.profile import profile_table
from penstock.datasets.profile.spread import moment_text
from penstock.datasets.types import ColumnProfile, Profile

app = command_app()
_TOP = 3
_FREQUENT = 0.01  # a value in fewer rows says nothing about its column
_WIDEST = 24  # characters of a value


@app.command()
def profile(
    dataset: str = TableArgument,
    version: int = typer.Option(0, help="Which version of the dataset. [default: the newest]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What the columns look like: missing and distinct values, range, mean, quantiles, most frequent values."""
    found = dict(_profiles(dataset, version, url))
    if json:
        print_json(found)
        return
    for name, one in found.items():
        print_profile(name, one)


def print_profile(name: str, profile: Profile) -> None:
    """A line for each column."""
    console.print(f"[bold]{name}[/bold]: {profile.rows:,} rows, {len(profile.columns)} columns")
    head = ["column", "kind", ">missing", ">distinct", ">smallest", ">median", ">mean", ">largest", "most frequent"]
    print_table(head, [_row(column, profile.rows) for column in profile.columns], empty="")


def _profiles(dataset: str, version: int, url: str) -> Iterator[tuple[str, Profile]]:
    if is_table(dataset):
        yield dataset, profile_table(open_files([(dataset, Path(dataset))]))
        return
    names = [dataset] if dataset and url else list(chosen_sections(open_project(), [dataset] if dataset else []))
    with open_services(url) as services:
        for name in names:
            found = services.datasets.get_version(name, version or None)
            yield f"{name} version {found.version}", found.profile


def _row(column: ColumnProfile, rows: int) -> list[object]:
    frequent = [top for top in column.top[:_TOP] if top.rows >= _FREQUENT * rows]
    top = ", ".join(f"{_cut(top.value)} ({top.rows / rows:.0%})" for top in frequent)
    missing = f"{column.nulls:,}" + (f" ({column.nulls / rows:.1%})" if column.nulls else "")
    distinct = None if column.distinct is None else f"{column.distinct:,}"
    ends = [_cut(column.minimum), _cut(column.maximum)]
    return [column.name, column.kind, missing, distinct, ends[0], _median(column), column.mean, ends[1], top]


def _median(column: ColumnProfile) -> object:
    if not column.quantiles:
        return None
    middle = column.quantiles[len(column.quantiles) // 2]
    if column.kind in ("date", "datetime"):
        return moment_text(middle)
    return middle


def _cut(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "-" if value is None else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"

"""`penstock data quality`: checks and columns of a dataset from version to version."""

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import Markup, console, print_json, print_table
from penstock.cli.session import open_services
from penstock.datasets.quality import ColumnQuality, FailedCheck, QualityPoint

app = command_app()
_BLOCKS = "▁▂▃▄▅▆▇█"


@app.command()
def quality(
    dataset: str = typer.Argument(help="A dataset."),
    limit: int = typer.Option(20, help="How many reports of checks, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What the checks found of each version, and how its columns moved; the page of it is /data/DATASET/quality."""
    with open_services(url) as services:
        points = services.datasets.list_quality(dataset, limit)
    if json:
        print_json(points)
        return
    print_table(
        ["version", ">rows", ">put aside", ">checks", ">failed", "checked (UTC)", "what was found..."],
        [_row(point) for point in points],
        empty="Nothing was checked: a folder of files has no columns.",
    )
    kept = [point for point in points if point.columns]
    if kept:
        console.print()
        head = ["column", "kind", ">missing", "over time", ">mean", "over time", ">distinct"]
        print_table(head, [_column(kept, column) for column in kept[-1].columns], empty="")


def _row(point: QualityPoint) -> list[object]:
    version: object = point.version if point.version is not None else Markup("[red]kept out[/red]")
    found = "; ".join(_tell(failed) for failed in point.failed)
    figures = (point.rows, point.quarantined, len(point.checks), len(point.failed))
    return [version, *(f"{figure:,}" for figure in figures), point.at, escape(found)]


def _tell(failed: FailedCheck) -> str:
    return f"{failed.name} ({failed.share:.2%} of rows)" if failed.share else failed.message


def _column(points: list[QualityPoint], now: ColumnQuality) -> list[object]:
    over = [next((each for each in point.columns if each.name == now.name), None) for point in points]
    missing = [None if each is None else each.missing for each in over]
    means = [None if each is None else each.mean for each in over]
    return [now.name, now.kind, f"{now.missing:.1%}", _line(missing), now.mean, _line(means), now.distinct]


def _line(values: list[float | None]) -> str:
    """Values in order as characters; a blank where there is none."""
    known = [value for value in values if value is not None]
    low, span = min(known, default=0.0), (max(known, default=0.0) - min(known, default=0.0)) or 1.0
    top = len(_BLOCKS) - 1
    return "".join(" " if value is None else _BLOCKS[round((value - low) / span * top)] for value in values)

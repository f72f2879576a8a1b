"""`penstock data quarantine`: the rows that checks kept out, and why."""

from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import ago, console, print_json, print_table
from penstock.cli.session import open_services
from penstock.core.errors import NotFoundError
from penstock.datasets.types import CheckReport

app = command_app()


@app.command()
def quarantine(
    dataset: str = typer.Argument(help="A dataset."),
    to: Path | None = typer.Option(None, "--to", help="A new folder to write the rows into, with reasons.jsonl."),
    report: int = typer.Option(0, help="The report of which the rows are written. [default: the newest]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """The rows that checks put aside; with --to they are written out, to be mended and added again."""
    with open_services(url) as services:
        reports = [each for each in services.datasets.list_check_reports(dataset, 1_000) if each.quarantine is not None]
        if to is not None:
            chosen = _choose(dataset, reports, report)
            assert chosen.quarantine is not None
            services.objects.checkout(chosen.quarantine.tree, to)
            reports = [chosen]
    if json:
        print_json(reports)
        return
    if to is not None and reports[0].quarantine is not None:
        console.print(
            f"{reports[0].quarantine.rows:,} rows of report {reports[0].number} lie in {to}; reasons.jsonl says why"
        )
        return
    print_table(
        [">report", "version", ">put aside", ">of rows", "checked"],
        [_row(each) for each in reports],
        empty="No rows were put aside.",
    )


def _choose(dataset: str, reports: list[CheckReport], number: int) -> CheckReport:
    found = next((each for each in reports if number in (0, each.number)), None)
    if found is None:
        what = f"report {number} of dataset {dataset!r}" if number else f"dataset {dataset!r}"
        raise NotFoundError(f"{what} has no rows that were put aside", hint=f"penstock data quarantine {dataset}")
    return found


def _row(report: CheckReport) -> list[object]:
    aside = report.quarantine.rows if report.quarantine is not None else 0
    return [report.number, report.version, aside, report.rows, ago(report.created_at) if report.created_at else None]

"""`penstock data quarantine`: the rows that checks kept out, and why."""

from pathlib import Path

import typer

from penstock.catalogue.services import Services
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
    to: Path | None = typer.Option(None, "--to", help="A new folder to write the rows into."),
    report: int = typer.Option(0, help="The report of which the rows are written. [default: the newest]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """The rows that checks put aside, and the files that they refused; with --to they are written out, to be mended."""
    with open_services(url) as services:
        reports = [each for each in services.datasets.list_check_reports(dataset, 1_000) if _kept_out(each)]
        if to is not None:
            chosen = _choose(dataset, reports, report)
            _write(services, chosen, to)
            reports = [chosen]
    if json:
        print_json(reports)
    elif to is not None:
        _tell(reports[0], to)
    else:
        print_table(
            [">report", "version", ">kept out", ">of rows", "checked"],
            [_row(each) for each in reports],
            empty="No rows were put aside, and no files refused.",
        )


def _kept_out(report: CheckReport) -> int:
    """How many rows are in no version: some were put aside, or all refused."""
    if report.quarantine is not None:
        return report.quarantine.rows
    return report.rows if report.version is None and report.tree else 0


def _choose(dataset: str, reports: list[CheckReport], number: int) -> CheckReport:
    found = next((each for each in reports if number in (0, each.number)), None)
    if found is None:
        what = f"report {number} of dataset {dataset!r}" if number else f"dataset {dataset!r}"
        raise NotFoundError(f"{what} has no rows that were kept out", hint=f"penstock data quarantine {dataset}")
    return found


def _write(services: Services, report: CheckReport, to: Path) -> None:
    tree = report.quarantine.tree if report.quarantine is not None else report.tree
    if report.quarantine is None and not services.objects.has(tree):
        raise NotFoundError(
            f"the files of report {report.number} of dataset {report.dataset!r} are gone",
            hint="files that checks refuse are kept until the next ones are let in",
        )
    services.objects.checkout(tree, to)


def _tell(report: CheckReport, to: Path) -> None:
    if report.quarantine is not None:
        console.print(f"{report.quarantine.rows:,} rows of report {report.number} lie in {to}; reasons.jsonl says why")
        return
    console.print(f"the {report.rows:,} rows that report {report.number} refused lie in {to}")
    for result in report.failures:
        if result.blocks:
            console.print(f"  {result.message}", markup=False, highlight=False)


def _row(report: CheckReport) -> list[object]:
    version = "refused" if report.version is None else report.version
    return [
        report.number,
        version,
        f"{_kept_out(report):,}",
        f"{report.rows:,}",
        ago(report.created_at) if report.created_at else None,
    ]

"""`penstock data check`: what the checks say of a source as it is now."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.data.sections import DatasetArgument, chosen_sections
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services
from penstock.core.project.types import DataSection
from penstock.datasets.ingest import ingest
from penstock.datasets.types import CheckReport, DatasetChecksError

app = command_app()


@app.command()
def check(dataset: str = DatasetArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Check a source as it is now, without adding a version; exit code 1 when a blocking check fails."""
    project = open_project()
    reports: dict[str, CheckReport] = {}
    with open_services(url) as services:
        for name, section in chosen_sections(project, [dataset] if dataset else []).items():
            latest = services.datasets.find_latest(name)
            reports[name] = _check(services.objects, section, project.root, latest)
    if json:
        print_json(reports)
    else:
        for name, report in reports.items():
            _print_report(name, report)
    raise typer.Exit(0 if all(report.passed for report in reports.values()) else 1)


def _check(objects: Any, section: DataSection, root: Path, latest: Any) -> CheckReport:
    try:
        return ingest(objects, section, root, latest, now=datetime.now(UTC)).report
    except DatasetChecksError as error:
        return error.report


def _print_report(name: str, report: CheckReport) -> None:
    mark = "[green]passes[/green]" if report.passed else "[red]is blocked[/red]"
    console.print(f"[bold]{name}[/bold]: {report.rows:,} rows, {len(report.results)} checks, {mark}")
    for result in report.failures:
        console.print(f"  [{'red' if result.blocks else 'yellow'}]{result.action}[/] {escape(result.message)}")
        for sample in result.samples[:5]:
            console.print(f"      [dim]{escape(f'{sample.file} row {sample.row}: {sample.value!r}')}[/dim]")

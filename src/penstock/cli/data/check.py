"""`penstock data check`: what the checks say of a source as it is now."""

from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.data.sections import TableArgument, chosen_sections, is_table
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services
from penstock.core.errors import InvalidInputError
from penstock.core.project.parse import load_checks
from penstock.core.project.types import DataSection
from penstock.datasets.checks import read_past
from penstock.datasets.checks.findings import TOLD
from penstock.datasets.ingest import check_source
from penstock.datasets.types import CheckReport

app = command_app()


@app.command()
def check(
    dataset: str = TableArgument,
    checks: str = typer.Option("", "--checks", help="A file of [[check]] tables, for a table of no project."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Check a source as it is now, without adding a version; exit code 1 when a blocking check fails."""
    reports = _check_table(dataset, checks) if is_table(dataset) else _check_datasets(dataset, checks, url)
    if json:
        print_json(reports)
    else:
        for name, report in reports.items():
            print_report(name, report)
    raise typer.Exit(0 if all(report.passed for report in reports.values()) else 1)


def print_report(name: str, report: CheckReport) -> None:
    """What was found, the failures with some of their rows."""
    mark = "[green]passes[/green]" if report.passed else "[red]is blocked[/red]"
    console.print(f"[bold]{escape(name)}[/bold]: {report.rows:,} rows, {len(report.results)} checks, {mark}")
    for result in report.failures:
        console.print(f"  [{'red' if result.blocks else 'yellow'}]{result.action}[/] {escape(result.message)}")
        for sample in result.samples[TOLD:]:
            console.print(f"      [dim]{escape(f'row {sample.row} of {sample.file}: {sample.value!r}')}[/dim]")


def _check_table(path: str, checks: str) -> dict[str, CheckReport]:
    section = load_checks(Path(checks), path) if checks else DataSection(source=path)
    return {path: check_source(section, Path.cwd(), now=datetime.now(UTC))}


def _check_datasets(dataset: str, checks: str, url: str) -> dict[str, CheckReport]:
    if checks:
        hint = f"the checks of {dataset or 'a dataset'} stand in penstock.toml"
        raise InvalidInputError("--checks goes with the path of a table", hint=hint)
    project = open_project()
    with open_services(url) as services:
        return {
            name: _check(services, name, section, project.root)
            for name, section in chosen_sections(project, [dataset] if dataset else []).items()
        }


def _check(services: Services, name: str, section: DataSection, root: Path) -> CheckReport:
    past = read_past(services.datasets.get_version, services.objects, name, services.datasets.find_latest(name))
    return check_source(section, root, past, now=datetime.now(UTC))

"""`penstock data`: dataset versions and their checks."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from penstock.cli.apps import group_app
from penstock.cli.output import JsonOption, ago, console, print_json, print_table
from penstock.cli.session import UrlOption, open_project, open_services
from penstock.core.codec import nearest_hint
from penstock.core.errors import NotFoundError
from penstock.core.project.types import DataSection, Project
from penstock.datasets.diff import diff_versions
from penstock.datasets.ingest import add_version, ingest
from penstock.datasets.types import CheckReport, DatasetChecksError

app = group_app("Add, check, list and compare dataset versions.")
DatasetArgument = typer.Argument("", help="A dataset of penstock.toml. [default: all of them]")


@app.command()
def add(dataset: str = DatasetArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Take in a source as a new version, unless nothing changed or a blocking check keeps it out."""
    project = open_project()
    added = []
    with open_services(url) as services:
        for name, section in _sections(project, dataset).items():
            before = services.datasets.find_latest(name)
            version = add_version(services.datasets, services.objects, name, section, project.root)
            is_new = before is None or before.version != version.version
            added.append({"dataset": name, "version": version.version, "rows": version.rows, "new": is_new})
            if not json:
                told = "added" if is_new else "unchanged"
                console.print(f"{name} version {version.version}: {version.rows:,} rows, {told}")
    if json:
        print_json(added)


@app.command("log")
def show_log(
    dataset: str = DatasetArgument,
    limit: int = typer.Option(20, help="How many versions, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """The versions of a dataset, newest first."""
    names = [dataset] if dataset else list(open_project().data)
    with open_services(url) as services:
        versions = [version for name in names for version in services.datasets.list_versions(name, limit)]
    if json:
        print_json(versions)
        return
    rows = [(v.dataset, v.version, v.rows, v.size, v.time_end, ago(v.created_at), v.tree[:12]) for v in versions]
    print_table(
        ["dataset", ">version", ">rows", ">bytes", "newest row (UTC)", "added", "digest"],
        rows,
        empty="No version yet; 'penstock data add' takes in the sources of penstock.toml.",
    )


@app.command()
def check(dataset: str = DatasetArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Check a source as it is now, without adding a version; exit code 1 when a blocking check fails."""
    project = open_project()
    reports: dict[str, CheckReport] = {}
    with open_services(url) as services:
        for name, section in _sections(project, dataset).items():
            latest = services.datasets.find_latest(name)
            reports[name] = _check(services.objects, section, project.root, latest)
    if json:
        print_json(reports)
    else:
        for name, report in reports.items():
            _print_report(name, report)
    raise typer.Exit(0 if all(report.passed for report in reports.values()) else 1)


@app.command()
def diff(
    dataset: str = typer.Argument(help="A dataset."),
    before: int = typer.Argument(help="A version."),
    after: int = typer.Argument(help="A later version."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What changed between two versions: columns, rows by key, distributions."""
    with open_services(url) as services:
        first, second = (services.datasets.get_version(dataset, version) for version in (before, after))
        found = diff_versions(services.objects, first, second)
    if json:
        print_json(found)
        return
    console.print(f"[bold]{dataset}[/bold] version {before} to {after}: {first.rows:,} to {second.rows:,} rows")
    for change in found.schema:
        console.print(f"  column {escape(str(change))}")
    rows = found.rows
    by = f"by {rows.key}" if rows.key else "whole rows"
    console.print(f"  {by}: {rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed")
    for sample in rows.samples[:5]:
        console.print(f"      [dim]{escape(f'{sample.change}: {sample.values}')}[/dim]")
    moved = [(c.name, c.distance, c.before.mean, c.after.mean) for c in found.columns if c.distance > 0]
    print_table(["column", ">distance", ">mean before", ">mean after"], moved, empty="No column's values moved.")


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


def _sections(project: Project, dataset: str) -> dict[str, DataSection]:
    if not dataset:
        return dict(project.data)
    if dataset not in project.data:
        raise NotFoundError(f"penstock.toml has no [data.{dataset}]", hint=nearest_hint(dataset, project.data))
    return {dataset: project.data[dataset]}

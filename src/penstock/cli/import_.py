"""`penstock import`: take over what another tracker holds."""

import contextlib
import sys
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from penstock.catalogue.services import Services
from penstock.cli.apps import group_app
from penstock.cli.output import JsonOption, console, open_console, print_json, print_table
from penstock.sdk.connect import connect, connect_place, is_url
from penstock.sdk.mlflow_import.importer import Importer
from penstock.sdk.mlflow_import.opening import open_source
from penstock.sdk.mlflow_import.report import ImportReport

app = group_app("Take over what another tracker holds; it is only read, and stays as it is.")

SHOWN = 50  # differences and warnings; --json has all of them
SourceArgument = typer.Argument(
    metavar="URL|DIR|DB", help="An MLflow server, an mlruns folder, a SQLite file, or the URL of a database."
)
IntoOption = typer.Option("", "--into", help="The home folder or the URL of a server. [default: as for every command]")
ArtifactsOption = typer.Option(
    None, "--artifacts", help="The folder behind mlflow-artifacts:/, where a database is imported."
)


@app.callback()
def import_() -> None:
    """Take over what another tracker holds; it is only read, and stays as it is."""


@app.command()
def mlflow(
    source: str = SourceArgument,
    into: str = IntoOption,
    experiment: str = typer.Option("", "--experiment", help="Only this experiment, by its name, and no models."),
    no_artifacts: bool = typer.Option(False, "--no-artifacts", help="Leave the files where they are."),
    artifacts: Path | None = ArtifactsOption,
    json: bool = JsonOption,
) -> None:
    """Import an MLflow store and compare all of it; exit code 1 when something differs. Again: it goes on."""
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(contextlib.closing(open_source(source, artifacts)))
        services = stack.enter_context(contextlib.closing(_open_target(into)))
        progress = _Bar(stack.enter_context(_open_bar(is_quiet=json or not sys.stderr.isatty())))
        report = Importer(opened, services, with_artifacts=not no_artifacts, progress=progress).run(experiment)
    if json:
        print_json({"is_complete": report.is_complete, "report": report})
    else:
        _print(report)
    raise typer.Exit(0 if report.is_complete else 1)


def _open_target(into: str) -> Services:
    if not into:
        return connect()
    if is_url(into):
        return connect(into)
    home = Path(into).absolute()
    home.mkdir(parents=True, exist_ok=True)
    return connect_place(str(home))


class _Bar:
    """A bar on standard error, for whoever sits there."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("reading", total=None)

    def begin(self, text: str, runs: int | None) -> None:
        """See `sdk.mlflow_import.source.Progress`."""
        self._bar.reset(self._task, total=runs, description=escape(text))

    def advance(self) -> None:
        """See `sdk.mlflow_import.source.Progress`."""
        self._bar.advance(self._task)


def _open_bar(*, is_quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=open_console(stderr=True), disable=is_quiet, transient=True)


def _print(report: ImportReport) -> None:
    columns = ("experiment", ">runs", ">new", ">params", ">tags", ">metrics", ">points", ">files", ">bytes")
    rows = [
        (
            each.name,
            each.runs,
            each.taken,
            each.params,
            each.tags,
            each.metrics,
            each.points,
            each.files,
            each.size_bytes,
        )
        for each in report.experiments
    ]
    print_table(columns, rows, empty="the source has no experiments")
    if report.models:
        console.print(f"{report.models} models with {report.versions} versions")
    _print_list("[yellow]not copied[/yellow]", report.skipped)
    _print_list("[red]differs[/red]", report.differences)
    if report.is_complete:
        console.print(f"[green]complete[/green]: {escape(report.into)} holds what {escape(report.source)} holds")
    else:
        console.print(f"[red]incomplete[/red]: {len(report.differences)} differences; the same command tries again")


def _print_list(label: str, lines: tuple[str, ...]) -> None:
    for line in lines[:SHOWN]:
        console.print(f"{label} {escape(line)}")
    if len(lines) > SHOWN:
        console.print(f"{label} and {len(lines) - SHOWN} more, which --json shows")

"""`penstock import`: take over what another tracker holds."""

import contextlib
import sys
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from penstock.catalogue.services import Services
from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption
from penstock.cli.output import console, open_console, print_json, print_table
from penstock.sdk.connect import connect, connect_place, is_url
from penstock.sdk.mlflow_import.importer import Importer
from penstock.sdk.mlflow_import.opening import open_source
from penstock.sdk.mlflow_import.report import ImportReport
from penstock.sdk.mlflow_import.surveying import Survey

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
    quick: bool = typer.Option(False, "--quick", help="Take files that are here with the same size for the same."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what there is, and what cannot be read from here."),
    json: bool = JsonOption,
) -> None:
    """Import an MLflow store and compare all of it; exit code 1 when something differs. Again: it goes on."""
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(contextlib.closing(open_source(source, artifacts)))
        progress = _Bar(stack.enter_context(_open_bar(is_quiet=json or not sys.stderr.isatty())))
        if dry_run:
            report = Survey(opened, progress, with_artifacts=not no_artifacts).run(experiment)
        else:
            services = stack.enter_context(contextlib.closing(_open_target(into)))
            importer = Importer(opened, services, progress, with_artifacts=not no_artifacts, is_quick=quick)
            report = importer.run(experiment)
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
        self._task = bar.add_task("reading", total=None, detail="")

    def begin(self, text: str, runs: int | None) -> None:
        """See `sdk.mlflow_import.source.Progress`."""
        self._bar.reset(self._task, total=runs, description=escape(text))

    def advance(self) -> None:
        """See `sdk.mlflow_import.source.Progress`."""
        self._bar.advance(self._task)

    def tell(self, text: str) -> None:
        """See `sdk.mlflow_import.source.Progress`."""
        self._bar.update(self._task, detail=escape(text))


def _open_bar(*, is_quiet: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    return Progress(*columns, console=open_console(stderr=True), disable=is_quiet, transient=True)


def _print(report: ImportReport) -> None:
    columns = ("experiment", ">runs", ">new", ">params", ">metrics", ">points", ">files", ">size", ">logged models")
    rows = [
        (
            each.name,
            f"{each.runs:,}",
            f"{each.taken:,}",
            f"{each.params:,}",
            f"{each.metrics:,}",
            f"{each.points:,}",
            f"{each.files:,}",
            f"{each.size_bytes / 1e6:,.1f} MB",
            f"{each.logged_models:,}",
        )
        for each in report.experiments
    ]
    print_table(columns, rows, empty="the source has no experiments")
    if report.models:
        console.print(f"{report.models:,} models with {report.versions:,} versions")
    _print_list("[yellow]not copied[/yellow]", report.skipped)
    _print_list("[yellow]still running in the source[/yellow]; import again when it has ended:", report.running)
    if report.others:
        told = ", ".join(f"{count:,} {name}" for name, count in report.others.items())
        console.print(f"[yellow]not taken over[/yellow] {escape(told)}: they stay where they are")
    _print_list("[red]differs[/red]", report.differences)
    _print_end(report)


def _print_end(report: ImportReport) -> None:
    rest = " but for what is named above" if report.skipped or report.others or report.running else ""
    if not report.into:
        console.print(f"nothing was written; without --dry-run all of this is imported{rest}")
    elif report.is_complete:
        told = f"{escape(report.into)} holds what {escape(report.source)} holds{rest}"
        console.print(f"[green]complete[/green]: {told}; all of it was compared")
    else:
        console.print(f"[red]incomplete[/red]: {len(report.differences):,} differences; the same command tries again")


def _print_list(label: str, lines: tuple[str, ...]) -> None:
    for line in lines[:SHOWN]:
        console.print(f"{label} {escape(line)}")
    if len(lines) > SHOWN:
        console.print(f"{label} and {len(lines) - SHOWN} more, which --json shows")

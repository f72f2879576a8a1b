"""`penstock runs`: what was run, with which params, and what came out."""

import contextlib

import typer
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import Markup, ago, cell, console, print_json, print_table
from penstock.cli.session import open_services
from penstock.core.errors import NotFoundError
from penstock.core.ids import RunId
from penstock.tracking.artifacts.types import Artifact
from penstock.tracking.types import Run, RunStatus

app = group_app("List, show and compare runs.")

RunArgument = typer.Argument(help="Its id, as 'penstock runs list' shows it.")
RunsArgument = typer.Argument(help="Two or more ids.")
OrderOption = typer.Option([], help="What to order by, such as 'metrics.auc DESC'; may be given several times.")
LOG_LINES = 20


@app.command("list")
def list_runs(
    experiment: str = typer.Option("", help="Only runs of this experiment."),
    filter: str = typer.Option("", help="Only runs that match, such as \"metrics.auc > 0.9 AND tags.team = 'risk'\"."),
    order_by: list[str] = OrderOption,
    limit: int = typer.Option(20, help="How many at most."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Runs, the newest first unless asked otherwise."""
    with open_services(url) as services:
        experiments = [experiment] if experiment else []
        page = services.tracking.search_runs(filter, order_by, experiments, limit=limit)
        runs = page.runs
    if json:
        print_json(runs)
        return
    names = [_given_name(r) for r in runs]
    columns = ["run", "experiment", *(["name"] if any(names) else []), "status", "started", "metrics..."]
    rows = [
        (r.id, r.experiment, *([name] if any(names) else []), r.status.value, ago(r.started_at), _metrics(r))
        for r, name in zip(runs, names, strict=True)
    ]
    print_table(columns, rows, empty="No runs yet. Start one with 'penstock run' or penstock.start_run().")


@app.command()
def show(run: str = RunArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """One run: params, metrics, tags, source and artifacts."""
    with open_services(url) as services:
        found = services.tracking.get_run(RunId(run))
        artifacts = services.artifacts.list_artifacts(found.id)
        failure = _read_failure(services, found, artifacts) if found.status is RunStatus.FAILED else ""
    if json:
        print_json({"run": found, "artifacts": artifacts})
        return
    console.print(f"[bold]{found.id}[/bold] {escape(found.name)} ({escape(found.experiment)}): {found.status.value}")
    source = found.source
    facts = [
        ("started (UTC)", found.started_at),
        ("ended (UTC)", found.ended_at),
        ("by", found.created_by),
        ("git commit", source.git_commit),
        ("uncommitted changes", source.git_dirty_diff),
        ("environment", source.environment_lock[:12] if source.environment_lock else None),
        ("seed", source.seed),
        ("command", source.command),
        ("read", ", ".join(map(str, found.inputs)) or None),
    ]
    print_table(["", ""], facts, empty="")
    console.print()
    print_table(["param", "value"], sorted(found.params.items()), empty="no params")
    console.print()
    metrics = [(m.key, m.number, m.step) for m in sorted(found.metrics.values(), key=lambda m: m.key)]
    print_table(["metric", ">latest", ">step"], metrics, empty="no metrics")
    console.print()
    files = [(a.path, a.size_bytes, a.digest[:12]) for a in artifacts]
    print_table(["artifact", ">bytes", "digest"], files, empty="no artifacts")
    if failure and not json:
        console.print(f"\n{escape(failure)}")


@app.command()
def compare(runs: list[str] = RunsArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """Several runs side by side; what differs is marked."""
    with open_services(url) as services:
        comparison = services.tracking.compare_runs([RunId(run) for run in runs])
    if json:
        print_json(comparison)
        return
    columns = ["", *(f"{run.name or 'run'} {run.id[-6:]}" for run in comparison.runs)]
    params = [(_mark(p.key, p.differs), *p.values) for p in comparison.params]
    print_table(columns, params, empty="no params")
    console.print()
    print_table(columns, [(_mark(m.key, m.differs), *m.values) for m in comparison.metrics], empty="no metrics")


def _read_failure(services: Services, run: Run, artifacts: list[Artifact]) -> str:
    """Why a run of a pipeline failed, and the end of what its steps printed; empty for other runs."""
    told = []
    with contextlib.suppress(NotFoundError):
        told.append(f"it failed: {services.pipelines.get_run(run.id).error}")
    for log in artifacts:
        if log.path.endswith(".log"):
            lines = services.objects.get_bytes(log.digest).decode(errors="replace").splitlines()
            told += ["", f"the end of {log.path}:", *(f"  {line}" for line in lines[-LOG_LINES:])]
    return "\n".join(told)


def _mark(key: str, differs: bool) -> str:
    return Markup(f"[bold]{escape(key)}[/bold] *") if differs else key


def _given_name(run: Run) -> str | None:
    """The name, unless it says no more than the id."""
    return None if run.name == f"run-{run.id[-6:]}" else run.name


def _metrics(run: Run) -> str:
    return "  ".join(f"{m.key}={cell(m.number)}" for m in sorted(run.metrics.values(), key=lambda m: m.key)[:4])

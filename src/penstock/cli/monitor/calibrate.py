"""`penstock monitor calibrate`: false alarms, measured on history without drift, beside the budget."""

import io
import math
from statistics import median

import numpy as np
import polars as pl
import typer
from rich.progress import Progress

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import Markup, console, open_console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest
from penstock.core.project.types import Project
from penstock.monitoring.budget import list_segment_columns, share_budget
from penstock.monitoring.calibration import Calibration, Plan, calibrate_inputs, calibrate_losses
from penstock.monitoring.references import keys_of
from penstock.monitoring.types import Window
from penstock.monitoring.watches import find_budget, find_harm
from penstock.registry.types import CHAMPION, ModelVersion
from penstock.stats.arrays import FloatArray

app = command_app()
_LONGEST = 100  # windows of a replay, unless told otherwise; most of the level is spent by then
_ROWS = 1000  # of a window, before any was recorded


@app.command()
def calibrate(
    replays: int = typer.Option(20, min=2, help="Histories, each with a reference of its own."),
    windows: int = typer.Option(0, help="Windows in each. [default: those of the budget's time, at most 100]"),
    rows: int = typer.Option(0, help="Rows of a window. [default: the median of the recorded ones]"),
    seed: int = typer.Option(0, help="The same seed gives the same answer."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Run history without any drift through this project's own watches: false alarms measured, beside the budget.

    The history is drawn from the reference of the live version and the recorded losses, so every alarm is false.
    """
    project = open_project()
    budget = share_budget(project)
    plan = Plan(replays=replays, windows=windows or min(math.ceil(budget.windows), _LONGEST), window_rows=1, seed=seed)
    with open_services(url) as services:
        model, sample = _find_live(services, project)
        recorded = [w for w in services.monitoring.list_windows(project.name) if w.version == model.version]
        reference = pl.read_parquet(io.BytesIO(services.objects.get_bytes(sample)))
        losses = _read_losses(services, project, recorded)
    size = rows or round(median([window.rows for window in recorded] or [_ROWS]))
    columns = project.monitor.columns or tuple(c.name for c in model.signature.inputs if c.name != project.deploy.key)
    with Progress(console=open_console(stderr=True), transient=True, disable=json) as bar:
        task = bar.add_task("replaying", total=replays * (1 + len(losses)))
        inputs = Plan(replays=plan.replays, windows=plan.windows, window_rows=size, seed=seed)
        keys = keys_of(reference, project.deploy.key)
        slices = list_segment_columns(project)
        found = [calibrate_inputs(reference, keys, columns, budget, inputs, lambda: bar.advance(task), slices)]
        for watch, parts in losses.items():
            groups = round(median(map(len, parts)))
            sized = Plan(replays=plan.replays, windows=plan.windows, window_rows=groups, seed=seed)
            harm, share = find_harm(project, watch), find_budget(project, watch)
            held = np.concatenate(parts)
            found.append(calibrate_losses(watch, harm, held, share, sized, lambda: bar.advance(task)))
    if json:
        print_json({"calibrations": found, "holds": all(each.holds for each in found)})
        return
    _print(project, model, found)


def _find_live(services: Services, project: Project) -> tuple[ModelVersion, Digest]:
    """The live version, and the reference that its windows are compared with."""
    alias = services.registry.find_alias(project.name, CHAMPION)
    if alias is None:
        raise InvalidInputError(f"project {project.name!r} has no live version", hint="`penstock run` makes the first")
    model = services.registry.get_version(project.name, alias.version)
    if model.reference is None:
        raise InvalidInputError(
            f"version {model.version} of {project.name!r} has no reference sample",
            hint="let the pipeline return a Candidate with one",
        )
    return model, model.reference


def _read_losses(services: Services, project: Project, windows: list[Window]) -> dict[str, list[FloatArray]]:
    """By watch, the losses of each window; not of watches whose bar the project sets, whose alarms are its own."""
    found: dict[str, list[FloatArray]] = {}
    for evidence in (evidence for window in windows for evidence in window.evidence):
        if find_harm(project, evidence.watch).tolerated is None:
            data = services.objects.get_bytes(evidence.losses)
            found.setdefault(evidence.watch, []).append(np.frombuffer(data, dtype="<f4").astype(np.float64))
    return found


def _print(project: Project, model: ModelVersion, found: list[Calibration]) -> None:
    allowed = project.monitor.false_alarms
    console.print(
        f"[bold]{project.name}[/bold] version {model.version}: {allowed.count:g} false alarm"
        f"{'' if allowed.count == 1 else 's'} in {allowed.per.days:g} days is the budget of all watches together"
    )
    head = ["watch", ">replays", ">windows", ">rows", ">alarms", ">budget", ">measured", ">at most", ""]
    print_table(head, [_row(each) for each in found], empty="")
    console.print(
        "[dim]budget, measured, at most: false alarms in one history; the last with a certainty of 95 %[/dim]"
    )


def _row(each: Calibration) -> list[object]:
    verdict = Markup("[green]within[/green]") if each.holds else Markup("[bold red]beyond[/bold red]")
    counts = [each.replays, each.windows, each.window_rows, each.alarms]
    return [each.watch, *counts, each.budget, each.measured, each.high, verdict]

"""`penstock monitor windows`: the three lamps, windows of drift and performance, alerts, and what they cost."""

from datetime import time

import typer
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_nearby, open_project
from penstock.core.project.types import Project
from penstock.monitoring.lamps import Lamps
from penstock.monitoring.spending import Spending, read_spending
from penstock.monitoring.types import Performance, Window
from penstock.predictions.types import Traffic

app = command_app()
PERIOD = 10_000  # windows and alerts that the budget is reckoned over, at most


@app.command()
def windows(
    deployment: str = typer.Argument("", help="The deployment. [default: the project's own]"),
    limit: int = typer.Option(20, help="How many windows, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """How the live model is doing: inputs that moved, estimated and measured performance, alerts and their budget."""
    project = None if deployment else open_project()
    name = project.name if project else deployment
    with open_nearby(url) as services:
        elsewhere = {each.name for each in services.external.list_deployments()}
        if deployment and deployment not in elsewhere:
            services.serving.get_deployment(deployment)  # refuses one that is not there
        found = services.monitoring.list_windows(name, limit=limit)
        alerts = services.monitoring.list_alerts(name, limit=10)
        lamps = services.monitoring.get_lamps(name)
        spending = _read_spending(services, project) if project else None
        log = services.predictions.get_traffic(name)
        state = services.loop.get_state(name)
    if json:
        print_json(
            {"lamps": lamps, "windows": found, "alerts": alerts, "spending": spending, "log": log, "loop": state}
        )
        return
    print_lamps(lamps)
    console.print()
    rows = [
        (_start(w), w.rows, tell_coverage(w), w.version, _estimate(w), _performance(w.performance), _drift(w))
        for w in found
    ]
    measured = next((w.performance.metric for w in found if w.performance is not None), "performance")
    print_table(
        ["from (UTC)", ">rows", ">outcomes", ">version", "estimated", measured, "inputs that moved"],
        rows,
        empty="No window has closed yet; windows follow the time of the predictions.",
    )
    for note in found[-1].segment_notes if found else []:
        console.print(f"  {escape(note)}")
    console.print()
    print_table(
        ["alert", "event time (UTC)", "status", "what was seen"],
        [(a.kind if a.pages else f"{a.kind} (calls nobody)", a.as_of, a.status, a.summary) for a in alerts],
        empty="No alert so far.",
    )
    if spending is not None:
        _print_spending(spending)
    console.print(f"\n{tell_log(log)}", highlight=False)
    if name not in elsewhere:
        console.print(f"\nthe loop waits for: {escape(state.waiting_for)}")


def print_lamps(lamps: Lamps) -> None:
    """The three lamps, a line each."""
    named = (
        ("inputs", lamps.inputs),
        ("estimated performance", lamps.estimated),
        ("measured performance", lamps.measured),
    )
    tones = {"on": "yellow", "off": "green", "unknown": "dim"}
    for name, lamp in named:
        mark = {"on": "●", "off": "○", "unknown": "?"}[lamp.state]
        since = f" since {lamp.since:%Y-%m-%d %H:%M}" if lamp.since else ""
        state = {"on": "changed", "off": "unchanged", "unknown": "unknown"}[lamp.state]
        console.print(f"[{tones[lamp.state]}]{mark} {name} {state}[/]{since}: {escape(lamp.why)}")


def _read_spending(services: Services, project: Project) -> Spending:
    windows = services.monitoring.list_windows(project.name, limit=PERIOD)
    return read_spending(project, windows, services.monitoring.list_alerts(project.name, limit=PERIOD))


def _print_spending(spending: Spending) -> None:
    console.print()
    print_table(
        ["watch", ">false alarms allowed", ">used by its tests", ">alerts raised"],
        [(held.watch, f"{held.allowed:.3g}", f"{held.used:.3g}", held.raised) for held in spending.watches],
        empty="",
    )


def tell_log(log: Traffic) -> str:
    """How much the prediction log holds, and how much of it without inputs."""
    dropped = f", {log.without_inputs:,} of them without inputs" if log.without_inputs else ""
    return f"the prediction log holds {log.rows:,} predictions in {log.segments:,} segments{dropped}"


def _estimate(window: Window) -> str:
    found = window.estimate
    if found is None or found.value is None:
        return "withdrawn" if found is not None and found.state.withdrawn else "-"
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"


def _start(window: Window) -> str:
    return f"{window.start:%Y-%m-%d}" if window.start.time() == time(0) else f"{window.start:%Y-%m-%d %H:%M}"


def tell_coverage(window: Window) -> str:
    """How many outcomes are known, as a share of the predictions, and whether that is enough to compare."""
    held = window.maturity
    if held is None or not held.answered:
        return f"{window.outcomes:,}"
    young = "" if held.matured else ", young"
    return f"{window.outcomes:,} ({held.known:.0%}{young})"


def _performance(found: Performance | None) -> str:
    if found is None or found.value is None:
        return "-"
    interval = "" if found.low is None else f" [{found.low:.3g}, {found.high:.3g}]"
    return f"{found.value:.3g}{interval}"


def _drift(window: Window) -> str:
    if window.drifted:
        return window.drifted_told
    return window.drift_note or ("none" if window.drift else "-")

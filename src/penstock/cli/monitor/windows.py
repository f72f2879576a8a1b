"""`penstock monitor windows`: windows of drift and performance, and the alerts they raised."""

from datetime import time

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.monitoring.types import Performance, Window

app = command_app()


@app.command()
def windows(
    deployment: str = typer.Argument("", help="The deployment. [default: the project's own]"),
    limit: int = typer.Option(20, help="How many windows, the newest ones."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """How the live model is doing: inputs that moved, measured performance, alerts."""
    name = deployment or open_project().name
    with open_services(url) as services:
        if deployment:
            services.serving.get_deployment(deployment)  # refuses one that is not there
        found = services.monitoring.list_windows(name, limit=limit)
        alerts = services.monitoring.list_alerts(name, limit=10)
        state = services.loop.get_state(name)
    if json:
        print_json({"windows": found, "alerts": alerts, "loop": state})
        return
    rows = [(_start(w), w.rows, w.outcomes, w.version, _performance(w.performance), _drift(w)) for w in found]
    measured = next((w.performance.metric for w in found if w.performance is not None), "performance")
    print_table(
        ["from (UTC)", ">rows", ">outcomes", ">version", measured, "inputs that moved"],
        rows,
        empty="No window has closed yet; windows follow the time of the predictions.",
    )
    console.print()
    print_table(
        ["alert", "event time (UTC)", "status", "what was seen"],
        [(a.kind, a.as_of, a.status, a.summary) for a in alerts],
        empty="No alert so far.",
    )
    console.print(f"\nthe loop waits for: {escape(state.waiting_for)}")


def _start(window: Window) -> str:
    return f"{window.start:%Y-%m-%d}" if window.start.time() == time(0) else f"{window.start:%Y-%m-%d %H:%M}"


def _performance(found: Performance | None) -> str:
    if found is None or found.value is None:
        return "-"
    interval = "" if found.low is None else f" [{found.low:.3g}, {found.high:.3g}]"
    return f"{found.value:.3g}{interval}"


def _drift(window: Window) -> str:
    if window.drifted:
        return ", ".join(window.drifted)
    return window.drift_note or ("none" if window.drift else "-")

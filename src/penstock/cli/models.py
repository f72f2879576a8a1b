"""`penstock models`: models and their versions."""

import typer
from rich.markup import escape

from penstock.cli.apps import group_app
from penstock.cli.output import JsonOption, ago, cell, console, print_json, print_table
from penstock.cli.session import UrlOption, open_project, open_services
from penstock.evaluation.types import Report

app = group_app("List and show models and their versions.")


@app.command("list")
def list_models(json: bool = JsonOption, url: str = UrlOption) -> None:
    """Every model with its newest version and its aliases."""
    with open_services(url) as services:
        models = services.registry.list_models()
        aliases = {model.name: services.registry.list_aliases(model.name) for model in models}
    if json:
        print_json([{"model": model, "aliases": aliases[model.name]} for model in models])
        return
    rows = [
        (model.name, model.latest_version, ", ".join(f"{a.alias} = {a.version}" for a in aliases[model.name]))
        for model in models
    ]
    print_table(["model", ">versions", "aliases"], rows, empty="No model yet; 'penstock run' registers one.")


@app.command()
def show(
    version: str = typer.Argument("champion", help="A version's number or an alias."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """One version: what it is, how it was judged, and the versions around it."""
    name = model or open_project().name
    with open_services(url) as services:
        found = services.registry.resolve(
            f"models:/{name}/{version}" if version.isdigit() else f"models:/{name}@{version}"
        )
        report = services.evaluation.get_report(found.report_id) if found.report_id else None
        verdicts = services.evaluation.list_verdicts(found.report_id) if found.report_id else []
        aliases = services.registry.list_aliases(name)
        versions = services.registry.list_versions(name)
    if json:
        print_json({"version": found, "report": report, "verdicts": verdicts})
        return
    console.print(f"[bold]{found.model} version {found.version}[/bold] ({found.task}, {found.flavor})\n")
    facts = [("run", found.run_id), ("model files", found.tree[:12]), ("registered (UTC)", found.created_at)]
    print_table(["", ""], facts, empty="")
    console.print()
    if report is not None:
        _print_metrics(report)
    for gate in verdicts[-1].gates if verdicts else ():
        mark = "[green]passed[/green]" if gate.passed else "[red]failed[/red]"
        console.print(f"gate {gate.kind} {mark}: {escape(gate.message)}")
    console.print()
    held = {alias.version: alias.alias for alias in aliases}
    rows = [(v.version, held.get(v.version), ago(v.created_at)) for v in versions[:10]]
    print_table([">version", "alias", "registered"], rows, empty="")


def _print_metrics(report: Report) -> None:
    metrics = [(m.name, m.value, f"[{cell(m.low)}, {cell(m.high)}]", m.n) for m in report.metrics]
    print_table(["metric", ">value", f"{report.confidence:.0%} interval", ">rows"], metrics, empty="no metrics")
    for baseline in report.baselines:
        measured = ", ".join(f"{m.name} {cell(m.value)}" for m in baseline.metrics)
        console.print(f"[dim]baseline {escape(baseline.name)}: {measured}[/dim]")
    console.print()

"""`penstock models`: models and their versions."""

import typer

from penstock.cli.output import JsonOption, ago, cell, console, print_json, print_table
from penstock.cli.session import UrlOption, open_project, open_services

app = typer.Typer(no_args_is_help=True, help="List and show models and their versions.")


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
        versions = services.registry.list_versions(name)
    if json:
        print_json({"version": found, "report": report})
        return
    console.print(f"[bold]{found.model} version {found.version}[/bold] ({found.task}, {found.flavor})")
    facts = [("run", found.run_id), ("model files", found.tree), ("registered", found.created_at)]
    print_table(["", ""], facts, empty="")
    if report is not None:
        metrics = [(m.name, m.value, f"[{cell(m.low)}, {cell(m.high)}]", m.n) for m in report.metrics]
        print_table(["metric", ">value", "95 % interval", ">rows"], metrics, empty="no metrics")
    console.print()
    print_table(["version", "registered"], [(v.version, ago(v.created_at)) for v in versions[:10]], empty="")

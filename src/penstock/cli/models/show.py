"""`penstock models show`: one version."""

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.models.tags import join_tags
from penstock.cli.models.target import tell_standing
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import ago, cell, console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.evaluation.types import Report
from penstock.registry.names import version_uri
from penstock.registry.types import ModelVersion, Stage, VersionStatus

app = command_app()


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
        found = services.registry.resolve(version_uri(name, version))
        report = services.evaluation.get_report(found.report_id) if found.report_id else None
        verdicts = services.evaluation.list_verdicts(found.report_id) if found.report_id else []
        aliases = services.registry.list_aliases(name)
        versions = services.registry.list_versions(name)
        form = found.describe_form()
        standing = None if found.tree is None else services.trust.get_standing(found.tree)
    if json:
        print_json({"version": found, "runs": form, "report": report, "verdicts": verdicts, "standing": standing})
        return
    kind = ", ".join(filter(None, (found.task, found.flavor))) or "kind not known"
    console.print(f"[bold]{escape(found.model)} version {found.version}[/bold] ({kind})\n")
    runs = [("runs", form)] if form else []
    print_table(["", ""], [*_facts(found), *runs, *tell_standing(standing)], empty="")
    console.print()
    if report is not None:
        _print_metrics(report)
    for gate in verdicts[-1].gates if verdicts else ():
        mark = "[green]passed[/green]" if gate.passed else "[red]failed[/red]"
        console.print(f"gate {gate.kind} {mark}: {escape(gate.message)}")
    console.print()
    held: dict[int, list[str]] = {}
    for alias in aliases:
        held.setdefault(alias.version, []).append(alias.alias)
    rows = [(v.version, ", ".join(held.get(v.version, [])), v.stage, ago(v.created_at)) for v in versions[:10]]
    print_table([">version", "alias", "stage", "registered"], rows, empty="")


def _facts(version: ModelVersion) -> list[tuple[str, object]]:
    """What is known of a version; what is usual is left out."""
    facts: list[tuple[str, object]] = [
        ("description", version.description),
        ("run", version.run_id),
        ("source", version.source),
        ("model files", "not kept here" if version.tree is None else version.tree[:12]),
        ("stage", "" if version.stage is Stage.NONE else version.stage),
        ("status", "" if version.status is VersionStatus.READY else version.status),
        ("tags", join_tags(version.tags)),
        ("registered (UTC)", version.created_at),
    ]
    return [(name, value) for name, value in facts if value]


def _print_metrics(report: Report) -> None:
    metrics = [(m.name, m.value, f"[{cell(m.low)}, {cell(m.high)}]", m.n) for m in report.metrics]
    print_table(["metric", ">value", f"{report.confidence:.0%} interval", ">rows"], metrics, empty="no metrics")
    for baseline in report.baselines:
        measured = ", ".join(f"{m.name} {cell(m.value)}" for m in baseline.metrics)
        console.print(f"[dim]baseline {escape(baseline.name)}: {measured}[/dim]")
    console.print()

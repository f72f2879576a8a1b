"""`penstock models`: models, their versions and their history."""

from datetime import datetime

import typer
from rich.markup import escape

from penstock.cli import model_trust
from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import ago, cell, console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.evaluation.types import Report
from penstock.registry.types import ChangeKind, ModelChange, ModelVersion, Stage, VersionStatus

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]

app = group_app("List, show, vouch for and sign models and their versions.")
app.command("trust")(model_trust.trust)
app.command("distrust")(model_trust.distrust)
app.command("sign")(model_trust.sign)
app.command("verify")(model_trust.verify)
app.add_typer(model_trust.keys, name="keys")


@app.command("list")
def list_models(json: bool = JsonOption, url: str = UrlOption) -> None:
    """Every model with its newest version, its aliases and tags."""
    with open_services(url) as services:
        models = services.registry.list_models(limit=1_000)
        aliases = {model.name: services.registry.list_aliases(model.name) for model in models}
    if json:
        print_json([{"model": model, "aliases": aliases[model.name]} for model in models])
        return
    rows = [
        (
            model.name,
            model.latest_version,
            ", ".join(f"{a.alias} = {a.version}" for a in aliases[model.name]),
            _join(model.tags),
            model.description,
        )
        for model in models
    ]
    print_table(
        ["model", ">versions", "aliases", "tags", "description"],
        rows,
        empty="No model yet; 'penstock run' registers one.",
    )


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
        standing = None if found.tree is None else services.trust.get_standing(found.tree)
    if json:
        print_json({"version": found, "report": report, "verdicts": verdicts, "standing": standing})
        return
    kind = ", ".join(filter(None, (found.task, found.flavor))) or "kind not known"
    console.print(f"[bold]{escape(found.model)} version {found.version}[/bold] ({kind})\n")
    print_table(["", ""], [*_facts(found), *model_trust.tell_standing(standing)], empty="")
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


@app.command()
def history(
    model: str = typer.Argument("", help="The model. [default: the project's own]"),
    alias: str = typer.Option("", help="Only this alias."),
    at: datetime | None = typer.Option(
        None,
        help="Where the aliases pointed at this moment, in UTC, and what led there.",
        formats=TIMES,
        metavar="TIME",
    ),
    limit: int = typer.Option(100, help="The newest so many changes."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Who moved an alias, when, from where to where and on what evidence; with renames, stages and deletions."""
    name = model or open_project().name
    with open_services(url) as services:
        changes = services.registry.history(name, alias, at, limit)
        held = [] if at is None else services.registry.aliases_at(name, at, alias)
    if json:
        print_json({"model": name, "at": at, "aliases": None if at is None else held, "changes": changes})
        return
    if at is not None:
        rows = [(move.alias, move.after, move.at, move.actor) for move in held]
        print_table(["alias", ">version", "since (UTC)", "moved by"], rows, empty=f"No alias pointed anywhere at {at}.")
        console.print()
    shown = [(c.at, c.actor, _tell(c), c.reason, ", ".join(c.evidence)) for c in changes]
    print_table(["at (UTC)", "by", "change", "reason", "evidence"], shown, empty="Nothing has changed yet.")


def _facts(version: ModelVersion) -> list[tuple[str, object]]:
    """What is known of a version; what is usual is left out."""
    facts: list[tuple[str, object]] = [
        ("description", version.description),
        ("run", version.run_id),
        ("source", version.source),
        ("model files", "not kept here" if version.tree is None else version.tree[:12]),
        ("stage", "" if version.stage is Stage.NONE else version.stage),
        ("status", "" if version.status is VersionStatus.READY else version.status),
        ("tags", _join(version.tags)),
        ("registered (UTC)", version.created_at),
    ]
    return [(name, value) for name, value in facts if value]


def _tell(change: ModelChange) -> str:
    """A change in words."""
    match change.kind:
        case ChangeKind.ALIAS:
            return f"{change.alias}: {change.before or 'none'} -> {change.after or 'removed'}"
        case ChangeKind.NAME:
            return f"renamed: {change.before} -> {change.after}"
        case ChangeKind.DELETED:
            return "model deleted" if change.version is None else f"version {change.version} deleted"
    return f"version {change.version} {change.kind}: {change.before} -> {change.after}"


def _join(tags: dict[str, str]) -> str:
    return ", ".join(f"{key} = {value if len(value) <= 40 else value[:37] + '...'}" for key, value in tags.items())


def _print_metrics(report: Report) -> None:
    metrics = [(m.name, m.value, f"[{cell(m.low)}, {cell(m.high)}]", m.n) for m in report.metrics]
    print_table(["metric", ">value", f"{report.confidence:.0%} interval", ">rows"], metrics, empty="no metrics")
    for baseline in report.baselines:
        measured = ", ".join(f"{m.name} {cell(m.value)}" for m in baseline.metrics)
        console.print(f"[dim]baseline {escape(baseline.name)}: {measured}[/dim]")
    console.print()

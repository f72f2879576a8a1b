"""`penstock init`: a project that runs, from a table of one's own."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.cli.output import console, print_json, print_table
from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.datasets.workspace.git import prepare_git
from penstock.sdk.scaffold import ESTIMATORS, Plan, plan_project, write_project

app = command_app()


@app.command()
def init(
    data: Path = typer.Option(None, help="The table: CSV, JSON Lines or Parquet."),
    label: str = typer.Option("", help="The column to predict."),
    name: str = typer.Option("", help="Name of the project and its model. [default: after the label]"),
    folder: Path = typer.Option(None, help="Where to write it. [default: a folder of that name]"),
    task: str = typer.Option("", help="binary, multiclass or regression. [default: guessed]"),
    time: str = typer.Option("", help="The column that says when, or 'none'. [default: guessed]"),
    key: str = typer.Option("", help="The column that tells rows apart, or 'none'. [default: guessed]"),
    yes: bool = typer.Option(False, "--yes", "-y", help="Take every guess without asking."),
    json: bool = JsonOption,
) -> None:
    """Look at a table, and write a project that trains, judges, serves and watches a model of it."""
    if data is None or not label:
        raise InvalidInputError(
            "say which table, and which of its columns to predict",
            hint="penstock init --data FILE --label COLUMN; to see a whole project at work: penstock demo",
        )
    plan = plan_project(
        data,
        label,
        name=name,
        task=task or None,  # type: ignore[arg-type]  # checked against the tasks that can be planned
        time=time or None,
        key=key or None,
    )
    if not json:
        _explain(plan, data)
    if not yes and not json and sys.stdin.isatty():
        chosen, when, what = _ask(plan)
        plan = plan_project(data, label, name=name, task=chosen, time=when, key=what)
    written = write_project(plan, data, folder or Path(plan.name))
    prepare_git(written.absolute())
    if json:
        print_json({"folder": str(written), "plan": plan})
        return
    console.print(f"\n[bold green]wrote {written}/[/bold green]  penstock.toml, pipeline.py, data/{data.name}\n")
    console.print(f"  cd {shlex.quote(str(written))}")
    console.print("  penstock up          # in one terminal")
    console.print("  penstock run         # in another: train, judge, release")
    console.print("  penstock predict --sample")


def _explain(plan: Plan, data: Path) -> None:
    found = plan.inspection
    console.print(f"[bold]{escape(str(data))}[/bold]: {found.rows:,} rows")
    console.print(f"{escape(found.task_reason)}, so the task is [bold]{plan.task}[/bold]\n")
    rows = [(column.name, column.role, column.reason) for column in found.columns]
    print_table(["column", "use", "why"], rows, empty="")
    for warning in found.warnings:
        console.print(f"[yellow]note:[/yellow] {escape(warning)}")


def _ask(plan: Plan) -> tuple[Task, str, str]:
    console.print()
    columns = ["none", *(column.name for column in plan.inspection.columns if column.role != "label")]
    task = _ask_for("task", list(ESTIMATORS), plan.task)
    time = _ask_for("time column ('none' for none)", columns, plan.time or "none")
    key = _ask_for("key column ('none' for none)", columns, plan.key or "none")
    return cast(Task, task), time, key


def _ask_for(text: str, known: Sequence[str], default: str) -> str:
    """Ask until the answer is one of the known ones."""
    while (answer := typer.prompt(text, default=default)) not in known:
        console.print(f"[yellow]there is no {escape(repr(answer))}:[/yellow] {escape(nearest_hint(answer, known))}")
    return str(answer)

"""`penstock monitor import`: predictions of a model that is served elsewhere, from files, watched like ours."""

from pathlib import Path
from typing import get_args

import typer
from msgspec import structs
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_nearby
from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.datasets.frames.formats import read_table
from penstock.registry.format.types import Label
from penstock.sdk import monitor

app = command_app()


@app.command("import")
def import_(
    deployment: str = typer.Argument(..., help="A name for what answers; made when there is none."),
    files: list[Path] = typer.Argument(..., help="CSV or Parquet, a row per prediction."),
    task: str = typer.Option("", help="Of the model: binary, multiclass, regression, ranking. Needed the first time."),
    prediction: str = typer.Option("", help="The column with the answer."),
    score: str = typer.Option("", help="The column with the probability of the positive class."),
    time: str = typer.Option("", help="The column that says when it was predicted. [default: now]"),
    label: str = typer.Option("", help="The column with what turned out to be true; empty: not known yet."),
    label_time: str = typer.Option("", help="The column that says when that happened. [default: at once]"),
    id: str = typer.Option("", help="The column that names the row, and its outcome later."),
    key: str = typer.Option("", help="The column that says whom it is about."),
    inputs: str = typer.Option("", "--inputs", help="The columns watched, with commas. [default: all others]"),
    version: int = typer.Option(1, help="Of the model that answered."),
    classes: str = typer.Option("", help='The classes as JSON, the positive one last: \'["no", "yes"]\'.'),
    reference: Path = typer.Option(None, help="Rows the inputs are held against. [default: the first rows imported]"),
    window: str = typer.Option("", help="How it is watched: the length of a window, such as 1d or 1w."),
    false_alarms: str = typer.Option("", help="And the budget of false alarms, such as '1 per 90d'."),
    metric: str = typer.Option("", help="And the metric whose fall alarms."),
    keep_inputs: str = typer.Option("", help="And how long inputs stay in the log, such as 90d. [default: for ever]"),
    skip_wrong: bool = typer.Option(False, help="Leave out rows that are wrong instead of refusing the file."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Watch a model that is served elsewhere; importing a file twice changes nothing."""
    wanted = _read_task(task)
    held = None if reference is None else read_table(reference)
    with open_nearby(url, may_be_new=True) as services:
        if window or false_alarms or metric or keep_inputs:
            if wanted is None:
                raise InvalidInputError("how it is watched depends on its task", hint="give --task as well")
            monitor.watch(
                deployment,
                wanted,
                window=window or "1d",
                false_alarms=false_alarms or "1 per 90d",
                metric=metric,
                keep_inputs=keep_inputs,
                services=services,
            )
        found = [
            monitor.log(
                read_table(file),
                deployment,
                prediction=prediction,
                score=score,
                time=time,
                id=id,
                key=key,
                label=label,
                label_time=label_time,
                inputs=[name.strip() for name in inputs.split(",") if name.strip()],
                task=wanted,
                version=version,
                classes=_read_classes(classes),
                reference=held,
                skip_wrong=skip_wrong,
                services=services,
            )
            for file in files
        ]
    if json:
        print_json([structs.asdict(each) for each in found])
        return
    for file, each in zip(files, found, strict=True):
        _tell(file, each)


def _tell(file: Path, logged: monitor.Logged) -> None:
    if not logged.rows:
        console.print(f"{escape(str(file))} has no rows; nothing was changed")
        return
    parts = [f"{logged.new_rows:,} new predictions" if logged.new_rows else "no new predictions"]
    if logged.rows > logged.new_rows:
        parts.append(f"{logged.rows - logged.new_rows:,} known before")
    if logged.outcomes:
        parts.append(f"{logged.outcomes:,} new outcomes")
    if logged.wrong:
        parts.append(f"{logged.wrong:,} rows left out as they are wrong")
    if logged.is_reference:
        parts.append("these rows are what later ones are held against")
    console.print(f"{escape(str(file))}: {'; '.join(parts)}")


def _read_task(text: str) -> Task | None:
    known: dict[str, Task] = {name: name for name in get_args(Task)}
    if text and text not in known:
        raise InvalidInputError(f"{text!r} is no task", hint=codec.nearest_hint(text, known))
    return known[text] if text else None


def _read_classes(text: str) -> list[Label] | None:
    if not text:
        return None
    try:
        return codec.decode(text.encode(), list[Label])
    except InvalidInputError as error:
        raise InvalidInputError(f"{text!r} is no list of classes", hint='write JSON, as in ["no", "yes"]') from error

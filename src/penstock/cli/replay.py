"""`penstock replay`: a whole history as if it had been live, under several policies of retraining."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import polars as pl
import typer
from rich.markup import escape
from rich.progress import Progress, TextColumn

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.cli.output import console, open_console, print_json, print_table
from penstock.cli.replay_picture import draw_line, write_picture
from penstock.cli.session import open_project
from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Project
from penstock.datasets.frames.formats import read_table
from penstock.loop.replay.history import History, ReplayTask, Setup, read_history
from penstock.loop.replay.policies import POLICIES, make_policy
from penstock.loop.replay.run import PolicyResult, replay

app = command_app()


@app.command(name="replay")
def run(
    data: Path = typer.Option(None, help="The table. [default: the project's own data]"),
    label: str = typer.Option("", help="The column to predict. [default: the project's]"),
    task: str = typer.Option("", help="binary, multiclass or regression. [default: guessed from the label]"),
    time: str = typer.Option("", help="The column that rows are put in order by. [default: they stand in order]"),
    drop: list[str] = typer.Option([], help="A column that is no feature; can be given several times."),
    chunks: int = typer.Option(40, help="How many times the policies may act."),
    warmup: float = typer.Option(0.1, help="The share of the rows, the first ones, that the first model learns from."),
    delay: int = typer.Option(0, help="How many chunks later outcomes are known."),
    policy: list[str] = typer.Option([], help="A policy to try; can be given several times. [default: all]"),
    html: Path = typer.Option(None, help="Write the picture to this file."),
    json: bool = JsonOption,
) -> None:
    """Live through a history chunk by chunk, and compare policies of retraining.

    Policies: static (never), sliding and growing (at every chunk, on the last rows or on all), scheduled (at every
    fifth), errors (when an e-detector says that errors rose), inputs (when a column moved), and loop: ours, which asks
    by cheap probes whether a retrain would help. All learn with the same gradient-boosted trees, in one thread.
    """
    names = [name for number, name in enumerate(policy) if name not in policy[:number]] or list(POLICIES)
    policies = {name: make_policy(name) for name in names}  # refuses a wrong name before anything is read
    frame, setup = _read(data, label, _check_task(task), time, tuple(drop))
    setup = Setup(
        label=setup.label, task=setup.task, time=setup.time, drop=setup.drop, chunks=chunks, warmup=warmup, delay=delay
    )
    history = read_history(frame, setup)
    results = {}
    for name, chosen in policies.items():
        with _counting(name, history) as progress:
            results[name] = replay(history, chosen, progress)
    if html is not None:
        write_picture(html, results, setup.label)
    if json:
        print_json({"policies": results})
        return
    _tell(history, results)
    if html is not None:
        console.print(f"\nwrote {escape(str(html))}")


def _check_task(task: str) -> ReplayTask | None:
    known = get_args(ReplayTask)
    if task and task not in known:
        raise InvalidInputError(f"{task!r} is no task that can be replayed", hint=nearest_hint(task, known))
    return task or None  # type: ignore[return-value]  # one of the known


def _read(
    data: Path | None, label: str, task: ReplayTask | None, time: str, drop: tuple[str, ...]
) -> tuple[pl.DataFrame, Setup]:
    if data is not None:
        if not label:
            raise InvalidInputError("say which column to predict", hint="penstock replay --data FILE --label COLUMN")
        return read_table(data), Setup(label=label, task=task, time=time or None, drop=drop)
    return _read_project(open_project(), label, task, time, drop)


def _read_project(
    project: Project, label: str, task: ReplayTask | None, time: str, drop: tuple[str, ...]
) -> tuple[pl.DataFrame, Setup]:
    """The first table of a project that has a label, with what its section says of the columns."""
    way_out = "give a file: penstock replay --data FILE --label COLUMN"
    name, section = next(((name, held) for name, held in project.data.items() if held.label or label), ("", None))
    if section is None:
        raise InvalidInputError(f"project {project.name!r} has no data with a label", hint=way_out)
    path = project.root / section.source
    if not path.is_file():
        raise InvalidInputError(f"the source of data {name!r} is not one file: {section.source}", hint=way_out)
    chosen = task or (project.task if project.task in get_args(ReplayTask) else None)
    keys = tuple(column for column in (section.key,) if column and column not in drop)
    return read_table(path), Setup(
        label=label or section.label or "",
        task=chosen,  # type: ignore[arg-type]  # one of those that can be replayed
        time=time or section.time,
        drop=(*drop, *keys),
    )


@contextmanager
def _counting(name: str, history: History) -> Iterator[Callable[[], None]]:
    """A line on standard error that counts chunks; it is gone at the end."""
    columns = TextColumn("{task.description}"), TextColumn("chunk {task.completed:.0f} of {task.total:.0f}")
    shown = open_console(stderr=True)
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        line = bar.add_task(escape(name), total=history.chunks)
        yield lambda: bar.advance(line)


def _tell(history: History, results: dict[str, PolicyResult]) -> None:
    first = next(iter(results.values()))
    late = f", outcomes {history.delay} chunks late" if history.delay else ""
    console.print(
        f"{len(history):,} rows, {len(history.names)} features, {history.task}; {history.warmup:,} to warm up, then "
        f"{history.chunks} chunks of {history.chunk:,}{late}\n"
    )
    scores = [chunk.score for result in results.values() for chunk in result.chunks]
    low, high = min(scores), max(scores)
    columns = ["policy", f">{first.metric}", ">auc", ">refits", ">fits", ">fit CPU, s", "chunk by chunk"]
    rows = [
        (
            name,
            f"{result.score:.4g}",
            None if result.auc is None else f"{result.auc:.4f}",
            result.refits,
            result.fits,
            f"{result.fit_cpu_s:.1f}",
            draw_line([chunk.score for chunk in result.chunks], low, high),
        )
        for name, result in results.items()
    ]
    print_table(columns, rows, empty="")
    better = "lower" if first.metric == "mae" else "higher"
    console.print(f"\n[dim]{first.metric}, {better} is better; lines go from {low:.3g} to {high:.3g}[/dim]")
    if "loop" in results and results["loop"].refits:
        _tell_refits(results["loop"])


def _tell_refits(result: PolicyResult) -> None:
    taken = [f"{number} ({chunk.note})" for number, chunk in enumerate(result.chunks) if chunk.refit]
    console.print(f"[dim]the loop retrained before chunk {', '.join(taken)}[/dim]")

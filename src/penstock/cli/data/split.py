"""`penstock data split`: the rows of a version parted for training and testing, under a name."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar, get_args

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_services
from penstock.core.clock import parse_duration
from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.datasets.splits.make import make_split
from penstock.datasets.splits.types import LeakAction, Split, SplitMethod, SplitRecipe

T = TypeVar("T")
app = command_app()
_METHODS: tuple[SplitMethod, ...] = get_args(SplitMethod)
_LEAKS: tuple[LeakAction, ...] = get_args(LeakAction)
_NAMES = ("train", "validation", "test")


@app.command()
def split(
    dataset: str = typer.Argument(help="A dataset."),
    by: str = typer.Option("random", help="random, stratified, grouped or time."),
    shares: str = typer.Option("", help="The share of each part, as in 0.7,0.15,0.15. [default: 0.8,0.2]"),
    parts: str = typer.Option(
        "", help="Their names, the earliest first. [default: train,test or train,validation,test]"
    ),
    column: str = typer.Option("", help="What a stratified or grouped split goes by."),
    key: str = typer.Option("", help="What tells rows apart. [default: the key of the dataset]"),
    time: str = typer.Option("", help="The column with the times. [default: the time of the dataset]"),
    cuts: str = typer.Option("", help="By time, where the next part begins, as in 2026-05-01,2026-06-01."),
    gap: str = typer.Option("", help="By time, what lies so long before a cut belongs to no part, as in 7d."),
    entity: str = typer.Option("", help="Rows with the same value here may not be on two sides."),
    seed: int = typer.Option(0, help="Another one parts in another way."),
    name: str = typer.Option("default", help="What the split is called."),
    version: int = typer.Option(0, help="Which version. [default: the newest]"),
    leaks: str = typer.Option("block", help="Whether what stands on two sides is refused (block) or told (warn)."),
    is_list: bool = typer.Option(False, "--list", help="List the splits there are, and make none."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Part the rows of a version, look for leaks between the parts, and record how under a name."""
    with open_services(url) as services:
        if is_list:
            _print_list(services.datasets.list_splits(dataset), json=json)
            return
        recipe = SplitRecipe(
            by=_one_of(by, _METHODS, "--by"),
            parts=_parts(parts, shares, cuts),
            shares=_shares(shares),
            column=column or None,
            key=key or None,
            time=time or None,
            cuts=tuple(_moment(text) for text in _listed(cuts)),
            gap=_length(gap) if gap else None,
            seed=seed,
            entity=entity or None,
        )
        found = services.datasets.get_version(dataset, version or None)
        draft = make_split(services.objects, found, recipe, leaks=_one_of(leaks, _LEAKS, "--leaks"))
        made = services.datasets.record_split(dataset, name, draft)
    if json:
        print_json(made)
    else:
        _print_split(made)


def _print_split(split: Split) -> None:
    console.print(
        f"[bold]{split.dataset}[/bold] version {split.version}, split [bold]{split.name}[/bold] by {split.recipe.by}"
    )
    total = sum(part.rows for part in split.parts) + split.left_out
    rows = [(part.name, part.rows, f"{part.rows / total:.1%}", part.time_start, part.time_end) for part in split.parts]
    print_table(["part", ">rows", ">share", "from (UTC)", "to"], rows, empty="")
    if split.left_out:
        console.print(f"{split.left_out:,} rows lie in a gap and belong to no part")
    for leak in split.leaks:
        if not leak.passed:
            console.print(f"  [yellow]warn[/] {escape(leak.message)}")


def _print_list(splits: list[Split], *, json: bool) -> None:
    if json:
        print_json(splits)
        return
    rows = [
        (s.version, s.name, s.recipe.by, ", ".join(f"{part.name} {part.rows:,}" for part in s.parts), s.created_at)
        for s in splits
    ]
    print_table([">version", "name", "by", "rows", "made (UTC)"], rows, empty="No split yet.")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parts(names: str, shares: str, cuts: str) -> tuple[str, ...]:
    if names:
        return tuple(_listed(names))
    count = len(_listed(cuts)) + 1 if cuts else len(_listed(shares)) or 2
    return _NAMES if count == len(_NAMES) else ("train", "test")


def _shares(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in _listed(text))
    except ValueError:
        found = (0.0,)
    if not all(0 < share < 1 for share in found):
        raise InvalidInputError(f"--shares is {text!r}", hint="write shares between 0 and 1, as in 0.7,0.15,0.15")
    return found


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is no moment", hint="write 2026-01-31 or 2026-01-31T12:00:00Z") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _length(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidInputError(f"--gap: {error}") from error


def _one_of(value: str, known: tuple[T, ...], option: str) -> T:
    chosen = next((each for each in known if each == value), None)
    if chosen is None:
        names = [str(each) for each in known]
        raise InvalidInputError(
            f"{option} is one of {', '.join(names)}, not {value!r}", hint=nearest_hint(value, names)
        )
    return chosen

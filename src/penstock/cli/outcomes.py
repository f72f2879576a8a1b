"""`penstock outcomes`: what really happened after predictions."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from msgspec import Struct

from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_services
from penstock.core import codec
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import PredictionId
from penstock.predictions.types import Outcome, OutcomesAdded

app = group_app("Tell what really happened after predictions.")
BATCH = 5_000


class _Line(Struct, forbid_unknown_fields=True):
    prediction_id: PredictionId
    value: Any
    at: datetime | None = None


@app.callback()
def outcomes() -> None:
    """Tell what really happened after predictions."""


@app.command()
def add(
    file: str = typer.Argument("", help="JSON Lines with prediction_id, value and maybe at; '-' reads standard input."),
    prediction: str = typer.Option("", "--prediction", help="One prediction's id, instead of a file."),
    value: str = typer.Option("", "--value", help='Its outcome, as JSON: 1, "yes" or ["item-7"].'),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Add outcomes; sending one twice changes nothing, and one for an unknown prediction waits for it."""
    if bool(file) == bool(prediction):
        raise InvalidInputError("name a file of outcomes, or one --prediction with its --value")
    found = _read_file(file) if file else [_one(prediction, value)]
    accepted = repeated = unmatched = 0
    with open_services(url) as services:
        for start in range(0, len(found), BATCH):
            added = services.predictions.add_outcomes(found[start : start + BATCH])
            accepted, repeated = accepted + added.accepted, repeated + added.repeated
            unmatched += added.unmatched
    if json:
        print_json(OutcomesAdded(accepted, repeated, unmatched))
        return
    waiting = f", {unmatched} of them wait for their prediction" if unmatched else ""
    noun = "outcome" if accepted == 1 else "outcomes"
    console.print(f"{accepted:,} {noun} added{waiting}; {repeated:,} known before")


def _one(prediction: str, value: str) -> Outcome:
    try:
        parsed = codec.decode(value, object)
    except InvalidInputError:
        parsed = value  # a bare word is a text
    return Outcome(prediction_id=PredictionId(prediction), value=parsed, at=datetime.now(UTC))


def _read_file(name: str) -> list[Outcome]:
    text, written_at = _read_text(name)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [_read_line(name, number, line, written_at) for number, line in lines]


def _read_text(name: str) -> tuple[str, datetime]:
    """What a file says, and when it was written, so that the same file sent twice says the same twice."""
    if name == "-":
        return sys.stdin.read(), datetime.now(UTC)
    try:
        return Path(name).read_text(), datetime.fromtimestamp(Path(name).stat().st_mtime, UTC)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {name!r}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{name} is no text: {error}") from error


def _read_line(name: str, number: int, line: str, written_at: datetime) -> Outcome:
    try:
        read = codec.decode(line, _Line)
    except InvalidInputError as error:
        raise InvalidInputError(f"line {number} of {name}: {error.message}", hint=error.hint) from error
    return Outcome(prediction_id=read.prediction_id, value=read.value, at=read.at or written_at)

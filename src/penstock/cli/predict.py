"""`penstock predict`: ask the deployed model."""

import sys
from pathlib import Path
from typing import Any

import httpx
import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.cli.output import print_json
from penstock.cli.session import open_project
from penstock.core import codec
from penstock.core.config import load_config
from penstock.core.errors import InvalidInputError, NotFoundError, PenstockError, UnavailableError
from penstock.core.project.places import project_config
from penstock.core.project.types import Project
from penstock.datasets.frames import read_table
from penstock.datasets.sources.fetching import fetching
from penstock.remote.discovery import find_server

app = command_app()
FORM = 'as in: penstock predict \'{"age": 41, "plan": "basic"}\'; or a list of such rows'


@app.command()
def predict(
    rows: str = typer.Argument("", help="Rows as JSON: {...} or [{...}, ...]; '-' reads standard input."),
    sample: bool = typer.Option(False, "--sample", help="Ask about the last row of this project's own data."),
    deployment: str = typer.Option("", help="The deployment. [default: the project's own]"),
    gateway: str = typer.Option("", help="The gateway's URL. [default: of this project's 'penstock up']"),
    json: bool = JsonOption,
) -> None:
    """Ask the deployed model about some rows; each answer carries the id that its outcome is told by."""
    project = open_project()
    if sample == bool(rows):
        raise InvalidInputError("give rows as JSON, or --sample for a row of this project's data", hint=FORM)
    asked = [] if sample else _parse(sys.stdin.read() if rows == "-" else rows)
    there, name = gateway or _find_gateway(project), deployment or project.name
    if sample:
        model = _ask("GET", f"{there}/v2/models/{name}")
        asked = take_sample(project, [column["name"] for column in model["inputs"]])
    answer = _ask("POST", f"{there}/predict/{name}", codec.encode(asked))
    if json:
        print_json(answer)
        return
    for row in answer["predictions"]:
        typer.echo(codec.encode_text(row))


def _parse(text: str) -> list[dict[str, Any]]:
    try:
        given = codec.decode(text, dict[str, Any] | list[dict[str, Any]])  # type: ignore[arg-type]  # a union of types
    except InvalidInputError as error:
        told = error.message.removeprefix("the body is ")
        raise InvalidInputError(f"the rows cannot be read: {told}", hint=FORM) from error
    return given if isinstance(given, list) else [given]


def take_sample(project: Project, inputs: list[str]) -> list[dict[str, Any]]:
    """The last row that has a value in each column the model takes; the last of all where none has."""
    if not project.data:
        raise NotFoundError("penstock.toml names no data to take a sample from")
    section = next(iter(project.data.values()))
    with fetching(section, project.root, None, None) as fetched:
        frame = read_table(list(fetched.files.values())[-1])
    known = frame.select(name for name in inputs if name in frame.columns)
    whole = known.drop_nulls()
    row = (whole if whole.height else known).tail(1).to_dicts()
    if not row:
        raise NotFoundError(f"{section.source} has no row to take as a sample", hint=FORM)
    return [{name: codec.to_builtins(value) for name, value in row[0].items()}]


def _ask(method: str, url: str, body: bytes | None = None) -> Any:
    token = load_config().token
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.request(method, url, content=body, headers=headers, timeout=30, trust_env=False)
    except httpx.TransportError as error:
        raise UnavailableError(f"no gateway answers at {url}", hint="start the project with 'penstock up'") from error
    if answer.is_error:
        raise _refusal(answer)
    return answer.json()


def _find_gateway(project: Project) -> str:
    server = find_server(project_config(Path(project.root)).home)
    if server is None:
        raise UnavailableError("this project is not up", hint="start it with 'penstock up', or name a --gateway")
    return server.gateway_url


def _refusal(answer: httpx.Response) -> PenstockError:
    body = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    message = body.get("message") or body.get("error") or answer.text
    kind = NotFoundError if answer.status_code == 404 else InvalidInputError
    return kind(f"the gateway refused: {message}", hint=body.get("hint", ""))

"""Opens what a command talks to, and closes it when the command ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from penstock.catalogue.services import Services
from penstock.core.errors import InvalidInputError
from penstock.core.project.parse import load_project
from penstock.core.project.types import Project
from penstock.sdk.connect import PROJECT_FILE, connect, find_project_folder

UrlOption = typer.Option("", "--url", help="A server to ask; the project around the working directory if not given.")


@contextlib.contextmanager
def open_services(url: str = "") -> Iterator[Services]:
    """The services of a URL or of the project here.

    Raises:
        InvalidInputError: the URL is none.
    """
    if url and not url.startswith(("http://", "https://")):
        raise InvalidInputError(f"{url!r} is no URL of a server", hint="write it as in --url http://127.0.0.1:5151")
    services = connect(url or None)
    try:
        yield services
    finally:
        services.close()


def open_project() -> Project:
    """The project around the working directory.

    Raises:
        NotFoundError: there is none.
        ProjectFileError: its file has mistakes.
    """
    return load_project(find_project_folder(Path.cwd()) / PROJECT_FILE)

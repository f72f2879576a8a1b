"""Opens what a command talks to, and closes it when the command ends."""

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.catalogue.services import Services
from penstock.core.config import DATABASE_NAME, load_config
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.project.parse import FILE_NAME, load_project
from penstock.core.project.places import find_project_folder
from penstock.core.project.types import Project
from penstock.remote.discovery import find_server
from penstock.sdk.connect import connect, connect_home, find_folder

GATEWAY_WAIT_S = 10.0  # they report every five seconds, and at once when they follow


@contextlib.contextmanager
def open_services(url: str = "") -> Iterator[Services]:
    """The services of a URL or of the project here.

    Raises:
        InvalidInputError: the URL is none.
    """
    check_url(url)
    services = connect(url or None)
    try:
        yield services
    finally:
        services.close()


@contextlib.contextmanager
def open_home(home: Path | None, url: str, *, may_be_new: bool = False) -> Iterator[Services]:
    """The services of a server's home folder, which `PENSTOCK_HOME` may name; else as `open_services`.

    Args:
        home: the folder.
        url: a server.
        may_be_new: whether a database is made where there is none.

    Raises:
        InvalidInputError: there is no such folder, or no database in it.
    """
    if home is None and not url and os.environ.get("PENSTOCK_HOME"):
        home = Path(os.environ["PENSTOCK_HOME"])
    if home is None:
        with open_services(url) as services:
            yield services
        return
    if not home.is_dir():
        raise InvalidInputError(f"there is no folder {home}", hint="a server makes its home when it starts first")
    config = load_config(home=home)
    if not (may_be_new or config.database or (home / DATABASE_NAME).is_file() or find_server(home)):
        raise InvalidInputError(f"there is no database in {home}", hint="PENSTOCK_DATABASE names one that is elsewhere")
    services = connect_home(config)
    try:
        yield services
    finally:
        services.close()


@contextlib.contextmanager
def open_nearby(url: str, *, may_be_new: bool = False) -> Iterator[Services]:
    """As `open_home`; where there is no project either, what is kept in `.penstock` here.

    Args:
        url: a server.
        may_be_new: whether that is made where it is missing.

    Raises:
        NotFoundError: there is none.
    """
    home = None
    if not (url or os.environ.get("PENSTOCK_HOME") or os.environ.get("PENSTOCK_URL")):
        try:
            find_folder(Path.cwd())
        except NotFoundError:
            home = load_config().home
            if may_be_new:
                home.mkdir(exist_ok=True)
            elif not home.is_dir():
                raise
    with open_home(home, url, may_be_new=may_be_new) as services:
        yield services


def check_url(url: str) -> None:
    """Let an empty `--url` pass, or one of a server.

    Raises:
        InvalidInputError: it is none.
    """
    if url and not url.startswith(("http://", "https://")):
        raise InvalidInputError(f"{url!r} is no URL of a server", hint="write it as in --url http://127.0.0.1:5151")


def wait_for_gateways(services: Services) -> None:
    """Wait until the living gateways follow the present routing, so that the next request is answered by it."""
    number = services.serving.routing().number
    deadline = time.monotonic() + GATEWAY_WAIT_S
    while time.monotonic() < deadline:
        heard = datetime.now(UTC) - timedelta(seconds=GATEWAY_WAIT_S)
        if all(gateway.routing >= number for gateway in services.serving.list_gateways() if gateway.at > heard):
            return
        time.sleep(0.1)


def open_project() -> Project:
    """The project around the working directory.

    Raises:
        NotFoundError: there is none.
        ProjectFileError: its file has mistakes.
    """
    return load_project(find_project_folder(Path.cwd()) / FILE_NAME)

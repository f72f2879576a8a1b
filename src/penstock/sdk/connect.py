"""`penstock.connect()`: the same object in this process or over HTTP."""

import os
from pathlib import Path

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.errors import NotFoundError
from penstock.core.identity import Actor, Role
from penstock.core.project.places import find_project_folder, folder_config
from penstock.datasets.workspace.pointers import FILE_NAME as POINTERS
from penstock.remote.discovery import find_server, read_owner_token
from penstock.remote.remote import open_remote
from penstock.storage.objects.open import open_object_store


def connect(target: str | Path | None = None, *, token: str = "", actor: str = "") -> Services:
    """Every service of a penstock, under one object.

    Args:
        target: a server's URL, or a folder: of a project, or any other, whose `.penstock` then keeps everything.
            None: `PENSTOCK_URL` where that is set, else the project around the working directory, else the folder in
            which files are versioned. While a server lives for a folder, it is used.
        token: for a server that asks for one; empty: `PENSTOCK_TOKEN`.
        actor: the name in the audit log; empty: the user of this machine.

    Raises:
        NotFoundError: there is no project here, or no such folder.
        UnavailableError: no server answers at the URL.
    """
    token = token or os.environ.get("PENSTOCK_TOKEN", "")
    target = target or os.environ.get("PENSTOCK_URL") or find_folder(Path.cwd())
    if is_url(target):
        return open_remote(str(target), token=token, actor=actor)
    folder = Path(target).absolute()
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", hint="a server's URL begins with http:// or https://")
    return connect_home(folder_config(folder, token=token or None), actor=actor)


def find_folder(start: Path) -> Path:
    """The nearest folder from `start` upwards that holds a project, or else one in which files are versioned.

    Raises:
        NotFoundError: there is neither.
    """
    try:
        return find_project_folder(start)
    except NotFoundError:
        versioned = next((folder for folder in (start, *start.parents) if (folder / POINTERS).is_file()), None)
        if versioned is None:
            raise
        return versioned


def default_place() -> str:
    """Where `connect()` leads: `PENSTOCK_URL`, or the home folder of the project around the working directory.

    Raises:
        NotFoundError: there is neither.
    """
    url = os.environ.get("PENSTOCK_URL", "")
    return url.rstrip("/") if is_url(url) else str(folder_config(Path(url or find_project_folder(Path.cwd()))).home)


def connect_place(place: str, *, patience_s: float = 5.0) -> Services:
    """The services of a place as `Services.place` names it: a server's URL, or a home folder of this machine.

    Args:
        place: the URL or folder.
        patience_s: how long to go on trying while a server at a URL cannot be reached.
    """
    if is_url(place):
        return open_remote(place, token=os.environ.get("PENSTOCK_TOKEN", ""), patience_s=patience_s)
    home = Path(place)
    return connect_home(folder_config(home.parent, home=home))


def is_url(target: object) -> bool:
    """Whether a target is a server rather than a folder."""
    return isinstance(target, str) and target.startswith(("http://", "https://"))


def connect_home(config: Config, *, actor: str = "") -> Services:
    """The services of a home folder: through its server while one lives, else in this process."""
    server = find_server(config.home)
    if server is None:
        return open_app(config, actor=Actor(actor, Role.ADMIN) if actor else None)
    objects = open_object_store(config.objects_url)  # same machine: files need not travel through the server
    token = config.token or read_owner_token(config.home)
    return open_remote(server.url, token=token, actor=actor, objects=objects)

"""`penstock.connect()`: the same object in this process or over HTTP."""

import os
from pathlib import Path

import msgspec

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config, load_config
from penstock.core.errors import NotFoundError
from penstock.core.identity import Actor, Role
from penstock.core.project.parse import load_project
from penstock.remote.discovery import find_server, read_owner_token
from penstock.remote.remote import open_remote
from penstock.storage.objects.open import open_object_store

PROJECT_FILE = "penstock.toml"


def connect(target: str | Path | None = None, *, token: str = "", actor: str = "") -> Services:
    """Every service of a penstock, under one object.

    Args:
        target: a server's URL, or a folder: of a project, or any other, whose `.penstock` then keeps everything.
            None: `PENSTOCK_URL` where that is set, else the project around the working directory. While a server
            lives for a folder, it is used.
        token: for a server that asks for one; empty: `PENSTOCK_TOKEN`.
        actor: the name in the audit log; empty: the user of this machine.

    Raises:
        NotFoundError: there is no project here, or no such folder.
        UnavailableError: no server answers at the URL.
    """
    token = token or os.environ.get("PENSTOCK_TOKEN", "")
    target = target or os.environ.get("PENSTOCK_URL") or find_project_folder(Path.cwd())
    if is_url(target):
        return open_remote(str(target), token=token, actor=actor)
    folder = Path(target).absolute()
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", hint="a server's URL begins with http:// or https://")
    return connect_home(folder_config(folder, token=token or None), actor=actor)


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


def find_project_folder(start: Path) -> Path:
    """The nearest folder, from `start` upwards, that holds a project file.

    Raises:
        NotFoundError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise NotFoundError(
        f"there is no {PROJECT_FILE} in {start} or above it",
        hint="change into a project folder, or make one with 'penstock init'",
    )


def project_config(folder: Path, **given: object) -> Config:
    """The configuration of a project: its `[storage]` section, then the environment, then what is given.

    Raises:
        NotFoundError: the folder holds no project.
        ProjectFileError: its project file has mistakes.
    """
    project = load_project(folder / PROJECT_FILE)
    config = load_config(os.environ, **(_place(folder) | given))
    storage = project.storage
    return msgspec.structs.replace(
        config,
        database=config.database or _beside(folder, storage.database),
        objects=config.objects or _beside(folder, storage.objects),
    )


def folder_config(folder: Path, **given: object) -> Config:
    """The configuration of a folder: of the project in it, or of a plain one."""
    if (folder / PROJECT_FILE).is_file():
        return project_config(folder, **given)
    return load_config(os.environ, **(_place(folder) | given))


def _place(folder: Path) -> dict[str, object]:
    """Where the state of a folder's project lies, unless the environment says so."""
    return {} if os.environ.get("PENSTOCK_HOME") else {"home": folder / ".penstock"}


def _beside(folder: Path, place: str | None) -> str:
    """A path of the project file is meant from its folder, wherever a command is called."""
    scheme, slashes, path = (place or "").rpartition("://")
    if not place or scheme not in ("", "sqlite"):
        return place or ""
    return f"sqlite:///{folder / path.removeprefix('/')}" if slashes else str(folder / place)

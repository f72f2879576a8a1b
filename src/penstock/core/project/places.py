"""Where the project around a folder is, and where it keeps its state."""

import os
from pathlib import Path

import msgspec

from penstock.core.config import Config, load_config
from penstock.core.errors import NotFoundError
from penstock.core.project.parse import FILE_NAME, load_project


def find_project_folder(start: Path) -> Path:
    """The nearest folder, from `start` upwards, that holds a project file.

    Raises:
        NotFoundError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise NotFoundError(
        f"there is no {FILE_NAME} in {start} or above it",
        hint="change into a project folder, or make one with 'penstock init'",
    )


def project_config(folder: Path, **given: object) -> Config:
    """The configuration of a project: its `[storage]` section, then the environment, then what is given.

    Raises:
        NotFoundError: the folder holds no project.
        ProjectFileError: its project file has mistakes.
    """
    project = load_project(folder / FILE_NAME)
    config = load_config(os.environ, **(_place(folder) | given))
    storage = project.storage
    return msgspec.structs.replace(
        config,
        database=config.database or _beside(folder, storage.database),
        objects=config.objects or _beside(folder, storage.objects),
        remote=config.remote or _beside(folder, storage.remote),
    )


def folder_config(folder: Path, **given: object) -> Config:
    """The configuration of a folder: of the project in it, or of a plain one."""
    if (folder / FILE_NAME).is_file():
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

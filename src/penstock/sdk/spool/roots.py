"""Which folder holds the spools."""

import os
from collections.abc import Iterator
from pathlib import Path

from penstock.core.errors import NotFoundError
from penstock.core.project.places import find_project_folder, folder_config
from penstock.sdk.connect import default_place, is_url

NAME = "spool"


def spool_root(place: str) -> Path:
    """Where spools for a place lie: `PENSTOCK_SPOOL`, the home folder, or the user's folder for state."""
    if named := os.environ.get("PENSTOCK_SPOOL"):
        return Path(named).absolute()
    if not is_url(place):
        return Path(place) / NAME
    return _project_root() or _state_root()


def known_roots() -> Iterator[Path]:
    """Every folder in which this user's spools may lie, as seen from the working directory."""
    if named := os.environ.get("PENSTOCK_SPOOL"):
        yield Path(named).absolute()
    try:
        place = default_place()
    except NotFoundError:
        place = ""
    if place and not is_url(place):
        yield Path(place) / NAME
    elif (root := _project_root()) is not None:
        yield root
    yield _state_root()


def _project_root() -> Path | None:
    try:
        return folder_config(find_project_folder(Path.cwd())).home / NAME
    except NotFoundError:
        return None


def _state_root() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "penstock" / NAME

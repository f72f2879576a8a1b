"""Lays out the project of a demo in a folder."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from penstock.core.errors import ConflictError

PROJECT = Path(__file__).parent / "project"
FILES = ("penstock.toml", "pipeline.py", "learners.py")
GITIGNORE = "# penstock's state and logs, and what the demo writes\n.penstock/\ndemo/\ndata/\n__pycache__/\n"


def write_shop(folder: Path) -> None:
    """Write the shop's project, or leave it as it is where it was written before.

    Raises:
        ConflictError: the folder holds something else.
    """
    write_demo(folder, PROJECT, FILES)


def write_demo(folder: Path, project: Path, files: Sequence[str]) -> None:
    """Write the files of a project, or leave them as they are where they were written before.

    Raises:
        ConflictError: the folder holds something else.
    """
    if all((folder / name).exists() for name in files):
        return
    if folder.exists() and (not folder.is_dir() or not set(_names(folder)) <= {*files, ".gitignore"}):
        raise ConflictError(f"{folder} holds something else than a demo", hint="give another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text(GITIGNORE)
    for name in files:
        shutil.copyfile(project / name, folder / name)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]

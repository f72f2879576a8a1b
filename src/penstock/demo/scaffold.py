"""Lays out the shop's project in a folder."""

import shutil
from pathlib import Path

from penstock.core.errors import ConflictError

PROJECT = Path(__file__).parent / "project"
FILES = ("penstock.toml", "pipeline.py", "learners.py")
GITIGNORE = "# penstock's state and logs, and what the demo writes\n.penstock/\ndemo/\ndata/\n__pycache__/\n"


def write_shop(folder: Path) -> None:
    """Write the project, or leave it as it is where it was written before.

    Raises:
        ConflictError: the folder holds something else.
    """
    if all((folder / name).exists() for name in FILES):
        return
    if folder.exists() and (not folder.is_dir() or not set(_names(folder)) <= {*FILES, ".gitignore"}):
        raise ConflictError(f"{folder} holds something else than a demo", hint="give another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text(GITIGNORE)
    for name in FILES:
        shutil.copyfile(PROJECT / name, folder / name)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]

"""What Git is told: to leave data alone, and how to merge `penstock.data`."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from penstock.core.ids import new_id
from penstock.datasets.workspace.pointers import FILE_NAME
from penstock.storage.objects.local import explained

DRIVER = "penstock-data"
_ATTRIBUTES = (f"{FILE_NAME} merge={DRIVER}", ".gitignore merge=union")  # both sides may add lines at the end


def prepare_git(root: Path, path: str = "") -> None:
    """In a folder under Git: ignore a path and the state of penstock, and merge `penstock.data` path by path.

    Args:
        root: the folder of the pointers.
        path: below it; empty for none.
    """
    repository = _find_repository(root)
    if repository is None:
        return
    _add_line(root / ".gitignore", "/.penstock/")
    if path:
        target = root / path
        _add_line(target.parent / ".gitignore", f"/{_escape(target.name)}")
    for attribute in _ATTRIBUTES:
        _add_line(root / ".gitattributes", attribute)
    _install_driver(repository)


def _find_repository(root: Path) -> Path | None:
    """The folder of Git's own files for the work tree around a folder."""
    for folder in (root, *root.parents):
        if (folder / ".git").is_dir():
            return folder / ".git"
        if (folder / ".git").is_file():  # a linked work tree
            answer = subprocess.run(
                ["git", "rev-parse", "--git-common-dir"], cwd=folder, capture_output=True, text=True, check=False
            )
            return (folder / answer.stdout.strip()) if answer.returncode == 0 else None
    return None


def _install_driver(repository: Path) -> None:
    config = repository / "config"
    if not config.is_file() or f'[merge "{DRIVER}"]' in config.read_text("utf-8", "replace"):
        return
    git = shutil.which("git")
    if git is None:
        return
    command = f"{shlex.quote(sys.executable)} -m penstock data merge %O %A %B"
    for key, value in (("name", "versions of data, path by path"), ("driver", command)):
        subprocess.run([git, "config", "-f", str(config), f"merge.{DRIVER}.{key}", value], check=True)


def _add_line(file: Path, line: str) -> None:
    """Add a line to a file that does not have it."""
    with explained(file):
        text = file.read_text("utf-8") if file.exists() else ""
        if line in text.splitlines():
            return
        temporary = file.with_name(f".{file.name}.{new_id()}.tmp")
        temporary.write_text(f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n", "utf-8")
        temporary.replace(file)


def _escape(name: str) -> str:
    """A name as a pattern of Git that matches it alone."""
    return "".join(f"\\{sign}" if sign in "*?[]\\ !#" else sign for sign in name)

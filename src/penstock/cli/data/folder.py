"""The folder that commands about paths work in, opened without a database."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from penstock.core.project.places import folder_config
from penstock.datasets.workspace.workspace import Workspace, find_root
from penstock.storage.objects.folders.adding import Progress


def open_workspace() -> Workspace:
    """The workspace around the working directory."""
    root = find_root(Path.cwd())
    config = folder_config(root)
    opening = "penstock.storage.objects.open"  # takes longer to import than most folders to compare
    return Workspace(root, lambda: importlib.import_module(opening).open_object_store(config.objects_url), config.home)


@contextlib.contextmanager
def open_bar(text: str, *, is_quiet: bool) -> Iterator[Progress | None]:
    """Shows the files and bytes so far on standard error, for whoever sits there."""
    if is_quiet or not sys.stderr.isatty():
        yield None
        return
    with importlib.import_module("penstock.cli.data.bar").counting(text) as progress:
        yield progress

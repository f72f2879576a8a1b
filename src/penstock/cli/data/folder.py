"""The folder that commands about paths work in, opened without a database."""

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from penstock.core.project.places import folder_config
from penstock.datasets.workspace.workspace import Objects, Workspace, find_root
from penstock.storage.objects.folders.adding import Progress


@contextlib.contextmanager
def open_workspace(url: str = "") -> Iterator[Workspace]:
    """The workspace around the working directory, whose data is kept here, or by the server at a URL."""
    root = find_root(Path.cwd())
    config = folder_config(root)
    with contextlib.ExitStack() as stack:
        if gc.isenabled():
            gc.disable()  # millions of facts about files would be looked at for circles that are never made
            stack.callback(gc.enable)

        def open_objects() -> Objects:
            # Either takes longer to import than most folders to compare.
            if url:
                services = importlib.import_module("penstock.cli.session").open_services(url)
                return stack.enter_context(services).objects  # type: ignore[no-any-return]
            return importlib.import_module("penstock.storage.objects.open").open_object_store(config.objects_url)  # type: ignore[no-any-return]

        yield Workspace(root, open_objects, config.home)


@contextlib.contextmanager
def open_bar(text: str, *, is_quiet: bool) -> Iterator[Progress | None]:
    """Shows the files and bytes so far on standard error, for whoever sits there."""
    if is_quiet or not sys.stderr.isatty():
        yield None
        return
    with importlib.import_module("penstock.cli.data.bar").counting(text) as progress:
        yield progress

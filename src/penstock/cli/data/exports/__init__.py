"""`penstock data export`: versions as other tools read them; a file for each tool."""

from typing import ClassVar

from penstock.cli.apps import LazyGroup, group_app


class ExportGroup(LazyGroup):
    """Its commands."""

    package = __name__
    files: ClassVar = {"dvc": "dvc", "croissant": "croissant"}
    texts: ClassVar = {
        "dvc": "A version for DVC to check out or pull.",
        "croissant": "A version described in Croissant 1.1.",
    }


app = group_app("Hand data over to other tools.", ExportGroup)

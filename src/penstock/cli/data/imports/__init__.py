"""`penstock data import`: data of other tools becomes versions; a file for each tool."""

from typing import ClassVar

from penstock.cli.apps import LazyGroup, group_app


class ImportGroup(LazyGroup):
    """Its commands."""

    package = __name__
    files: ClassVar = {"dvc": "dvc", "croissant": "croissant"}
    texts: ClassVar = {
        "dvc": "Files and folders of a DVC project.",
        "croissant": "A dataset that is described in Croissant.",
    }


app = group_app("Take over data of other tools, which stays as it is.", ImportGroup)

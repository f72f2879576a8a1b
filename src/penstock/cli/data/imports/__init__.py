"""`penstock data import`: data of other tools becomes versions; a file for each tool."""

from typing import ClassVar

from penstock.cli.apps import LazyGroup, group_app


class ImportGroup(LazyGroup):
    """Its commands."""

    package = __name__
    files: ClassVar = {"dvc": "dvc"}
    texts: ClassVar = {"dvc": "Files and folders of a DVC project."}


app = group_app("Take over data of other tools, which stays as it is.", ImportGroup)

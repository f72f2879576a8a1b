"""`penstock data`: dataset versions and their checks."""

from typing import ClassVar

from penstock.cli.apps import LazyGroup, group_app


class DataGroup(LazyGroup):
    """Its commands; each is imported only when it is called, as some have to answer at once."""

    package = __name__
    files: ClassVar = {name: name for name in ("add", "log", "check", "diff")}
    texts: ClassVar = {
        "add": "Take in a source as a new version, unless a check keeps it out.",
        "log": "The versions of a dataset, newest first.",
        "check": "Check a source as it is now, without adding a version.",
        "diff": "What changed between two versions.",
    }


app = group_app("Add, check, list and compare dataset versions.", DataGroup)

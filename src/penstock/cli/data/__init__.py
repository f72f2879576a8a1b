"""`penstock data`: dataset versions and their checks."""

from typing import ClassVar

from penstock.cli.apps import LazyGroup, group_app


class DataGroup(LazyGroup):
    """Its commands; each is imported only when it is called, as some have to answer at once."""

    package = __name__
    files: ClassVar = {
        name: name for name in ("add", "status", "checkout", "log", "check", "diff", "push", "pull", "merge")
    }
    texts: ClassVar = {
        "add": "Take in sources, files or folders as new versions.",
        "status": "What changed in files and folders since they were added.",
        "checkout": "Write files and folders as a version has them.",
        "log": "The versions of a dataset, newest first.",
        "check": "Check a source as it is now, without adding a version.",
        "diff": "What changed between two versions.",
        "push": "Copy versions to a remote store.",
        "pull": "Fetch versions from a remote store.",
        "merge": "Merge two versions of penstock.data; Git calls this.",
    }


app = group_app("Add, check, list and compare dataset versions.", DataGroup)

"""`penstock data`: versions of data, their checks, splits and remotes."""

from typing import ClassVar

from penstock.cli.apps import LazyGroup, group_app

_TEXTS = {
    "add": "Take in sources, files or folders as new versions.",
    "status": "What changed in files and folders since they were added.",
    "checkout": "Write files and folders as a version has them.",
    "log": "The versions of a dataset, newest first.",
    "diff": "What changed between two versions.",
    "schema": "The checks that follow from a good version.",
    "check": "Check a source as it is now, without adding a version.",
    "profile": "What the columns of a version or a table look like.",
    "quality": "Checks and columns from version to version.",
    "quarantine": "The rows that checks kept out, and why.",
    "split": "Part the rows of a version for training and testing.",
    "push": "Copy versions to a remote store.",
    "pull": "Fetch versions from a remote store.",
    "import": "Take over data of other tools.",
    "export": "Hand data over to other tools.",
    "merge": "Merge two versions of penstock.data; Git calls this.",
}


class DataGroup(LazyGroup):
    """Its commands; each is imported only when it is called, as some have to answer at once."""

    package = __name__
    # Each has the file of its name, but for a name that Python keeps for itself, and the one like it.
    files: ClassVar = {name: name for name in _TEXTS} | {"import": "imports", "export": "exports"}
    texts: ClassVar = _TEXTS


app = group_app("Version, check, compare and share data.", DataGroup)

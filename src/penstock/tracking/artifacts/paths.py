"""The paths of artifacts: every one that comes from outside passes here. They are keys of rows, no names of files."""

import re
from collections.abc import Iterator

from penstock.core.errors import InvalidInputError

PATH_LIMIT = 1_000  # characters
BYTES_LIMIT = 2_000  # of the path in UTF-8: PostgreSQL's indexes take no longer keys
PART_LIMIT = 255  # bytes; whoever downloads the file has to write it somewhere
DEPTH_LIMIT = 100  # parts
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")


def check_path(path: str) -> str:
    """The path itself, when an artifact may have it: relative, with `/` between its parts and no way upwards.

    Raises:
        InvalidInputError: it is anything else; it is never mended, as the mended one might belong to another file.
    """
    problem = _find_problem(path)
    if problem:
        raise InvalidInputError(
            f"{_short(path)} is no path for an artifact: {problem}",
            hint="write a relative path such as 'plots/roc.png', without '..', '\\' or a leading '/'",
            field="path",
        )
    return path


def check_folder(path: str) -> str:
    """The path of a folder, without the slash that may stand at its end; empty for the home itself.

    Raises:
        InvalidInputError: as `check_path`.
    """
    path = path.removesuffix("/") if path != "/" else path
    return check_path(path) if path else ""


def folders_above(path: str) -> Iterator[str]:
    """Every folder that the path lies in, the outermost first."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _find_problem(path: str) -> str:
    if len(path) > PATH_LIMIT:
        return f"it has {len(path)} characters, and {PATH_LIMIT} are allowed"
    if _UNPRINTABLE.search(path):
        return "it holds a control character or half a surrogate pair"
    parts = path.split("/")
    if "\\" in path or _DRIVE.match(path) or any(part in ("", ".", "..") for part in parts):
        return "it could lead elsewhere" if path else "it is empty"
    if len(path.encode()) > BYTES_LIMIT:
        return f"it has more than {BYTES_LIMIT} bytes"
    if len(parts) > DEPTH_LIMIT:
        return f"it is more than {DEPTH_LIMIT} folders deep"
    if any(len(part.encode()) > PART_LIMIT for part in parts):
        return f"a name in it has more than {PART_LIMIT} bytes"
    return ""


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")

"""No path leads anywhere: what is let through is a plain relative path, and stays what it was."""

import os
import posixpath
import string
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.tracking.artifacts.paths import check_folder, check_path, folders_above

MANY = settings(max_examples=1_000, deadline=None)
PIECES = [
    "..",
    ".",
    "/",
    "\\",
    "//",
    "C:",
    "c:/",
    "\\\\?\\",
    "%2e",
    "%2f",
    "%5c",
    "%252e",
    "a",
    "b.txt",
    " ",
    "~",
    "-",
    "é",
]
PIECES += [
    "\0",
    "\n",
    "\x7f",
    "\ud800",
    "\uff0e\uff0e",
    "\u2215",
    "\u202e",
    "CON",
    "NUL.txt",
    "a:b",
    "file://",
    "$HOME",
    "x" * 256,
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=30)


@MANY
@given(path=HOSTILE)
@example(path="..")
@example(path="a/../../b")
@example(path="/etc/passwd")
@example(path="C:\\Windows")
@example(path="\\\\server\\share")
def test_what_is_let_through_stays_below_wherever_it_is_put(path: str) -> None:
    try:
        assert check_path(path) == path
    except InvalidInputError as error:
        assert error.field == "path"
        str(error).encode()
        return
    for place in ("/srv/store", "/", "/a/b/c"):
        joined = posixpath.normpath(posixpath.join(place, path))
        assert joined == (place.rstrip("/") + "/" + path)
    windows = PureWindowsPath("D:\\store") / path
    assert windows.is_relative_to("D:\\store") and ".." not in windows.parts
    assert not PurePosixPath(path).is_absolute() and not PureWindowsPath(path).drive
    assert os.fsencode(path).decode() == path and "\0" not in path
    assert all(0 < len(part.encode()) <= 255 for part in path.split("/"))


@MANY
@given(path=HOSTILE)
def test_a_folder_is_a_path_or_the_home_and_may_end_with_a_slash(path: str) -> None:
    try:
        folder = check_folder(path)
    except InvalidInputError:
        with pytest.raises(InvalidInputError):
            check_path(path)
        return
    assert folder == "" or check_path(folder) == folder
    assert path in (folder, f"{folder}/")


@given(parts=st.lists(st.text(string.ascii_letters + "_-. é", min_size=1, max_size=8), min_size=1, max_size=6))
def test_ordinary_paths_are_let_through(parts: list[str]) -> None:
    path = "/".join(part if part.strip(".") else f"x{part}" for part in parts)
    assert check_path(path) == path
    assert list(folders_above(path)) == ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1)]


@pytest.mark.parametrize(
    ("longest", "beyond"),
    [
        ("/".join(["x" * 249] * 4), "/".join(["x" * 249] * 4) + "xx"),
        ("x" * 255, "x" * 256),
        ("é" * 127, "é" * 128),
        ("/".join("x" * 100), "/".join("x" * 101)),
        ("/".join(["漢" * 83] * 8), "/".join(["漢" * 83] * 8) + "/漢"),
    ],
)
def test_the_limits_are_what_they_are(longest: str, beyond: str) -> None:
    assert check_path(longest) == longest
    with pytest.raises(InvalidInputError):
        check_path(beyond)

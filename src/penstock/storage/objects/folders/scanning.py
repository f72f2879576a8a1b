"""Looking at a folder: what is in it, and what the file system says of each file."""

import os
import re
import stat
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from penstock.core.errors import InvalidInputError
from penstock.storage.objects.format import check_entry_name
from penstock.storage.objects.local import explain, explained

DEPTH_LIMIT = 200  # folders within folders
LinkPolicy = Literal["follow", "keep", "refuse"]
_WINDOWS_ONLY = re.compile(r'(?i)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?|.*[<>:"|?*\x01-\x1f].*|.*[. ]', re.DOTALL)


_UNUSUAL = re.compile(  # whatever a name may be refused for, in names with slashes between them, and then some
    r"(?i)[\\<>:\"|?*\x00-\x1f]|[. ]/|/(?:con|prn|aux|nul|com[1-9]|lpt[1-9])[./]|[^/]{256}"
)


class FileStat(NamedTuple):
    """What tells whether a file was changed since it was read, without reading it again."""

    size: int  # bytes
    modified_ns: int
    changed_ns: int  # also moved by what restores `modified_ns`
    inode: int
    mode: int


WIDTH = len(FileStat._fields)


class Rules(NamedTuple):
    """What a folder may hold.

    Attributes:
        links: whether symbolic links to files are read as these files, kept as links, or refused. Links to folders are
            never followed, as they may lead in a circle.
        portable: whether names are refused that no file can have on Windows.
    """

    links: LinkPolicy = "follow"
    portable: bool = False


DEFAULT_RULES = Rules()


class Listing(NamedTuple):
    """A folder, one level deep, each list in order of the names."""

    path: str  # below the root, `/` between folders; empty for the root itself
    files: list[str]
    stats: "array[int]"  # the numbers of a `FileStat` for each file, one after the other
    folders: list[str]
    links: list[tuple[str, str]]  # names and targets of links that are kept

    def stat(self, place: int) -> FileStat:
        """What the file system says of a file."""
        return FileStat(*self.stats[place * WIDTH : (place + 1) * WIDTH])

    def size(self, place: int) -> int:
        """The bytes of a file."""
        return self.stats[place * WIDTH]

    def check_names(self, root: str, rules: Rules) -> None:
        """Refuse names that cannot be stored; InvalidInputError."""
        names = f"/{'/'.join(self.files)}/"
        if not (self.folders or self.links) and names.isascii() and not _UNUSUAL.search(names):
            return  # one look at all of them, as there may be millions
        for name in (*self.files, *self.folders, *(name for name, _ in self.links)):
            if rules.portable and _WINDOWS_ONLY.fullmatch(name):
                raise InvalidInputError(
                    f"no file can be called {name!r} on Windows, and there is one in {self.path or root}",
                    hint="rename it, or allow it with '--names any'",
                )
            check_entry_name(name)


def scan(root: str, rules: Rules) -> Iterator[Listing]:
    """Every folder below the root, each after those that are in it, the root last.

    Raises:
        NotFoundError: there is no such folder.
        InvalidInputError: it is no folder, holds something that is no file, a link that cannot be stored, or is nested
            too deep.
    """
    if os.path.exists(root) and not os.path.isdir(root):
        raise InvalidInputError(f"{root} is no folder")
    return _scan(root, "", rules, 0)


def scan_file(root: str, name: str, rules: Rules) -> Iterator[Listing]:
    """One file of a folder, as if it were all that is in it; errors as `scan`."""
    path = f"{root}/{name}"
    with explained(Path(path)):
        if rules.links == "refuse" and os.path.islink(path):
            raise InvalidInputError(f"{path} is a symbolic link", hint="name the file itself")
        found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInputError(f"{path} is no ordinary file")
    yield Listing("", [name], array("q", to_stat(found)), [], [])


def to_stat(found: os.stat_result) -> FileStat:
    """The part of an answer of the file system that matters here."""
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)


def _scan(root: str, path: str, rules: Rules, depth: int) -> Iterator[Listing]:
    if depth > DEPTH_LIMIT:
        raise InvalidInputError(f"{root}/{path} is nested more than {DEPTH_LIMIT} deep")
    listing = _list_folder(f"{root}/{path}" if path else root, path, rules)
    for name in listing.folders:
        yield from _scan(root, f"{path}/{name}" if path else name, rules, depth + 1)
    yield listing


def _list_folder(folder: str, path: str, rules: Rules) -> Listing:
    files: list[str] = []
    stats = array("q")
    folders: list[str] = []
    links: list[tuple[str, str]] = []
    name = ""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in sorted(os.listdir(descriptor)):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISLNK(found.st_mode):
                    target = _read_link(f"{folder}/{name}", rules)
                    if target is not None:
                        links.append((name, target))
                        continue
                    found = os.stat(name, dir_fd=descriptor)
                mode = found.st_mode
                if stat.S_ISREG(mode):
                    files.append(name)
                    stats.extend((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, mode))
                elif stat.S_ISDIR(mode):
                    folders.append(name)
                else:
                    raise InvalidInputError(f"{folder}/{name} is no ordinary file")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise explain(error, Path(folder, name)) from error
    return Listing(path, files, stats, folders, links)


def _read_link(path: str, rules: Rules) -> str | None:
    """Where a link leads that is kept; None for one that is followed."""
    if rules.links == "keep":
        return os.readlink(path)
    if rules.links == "refuse":
        raise InvalidInputError(
            f"{path} is a symbolic link",
            hint="put the file itself there, or say '--links follow' or '--links keep'",
        )
    if os.path.isdir(path):
        raise InvalidInputError(f"{path} is a link to a folder", hint="put the folder itself there")
    return None

"""Where the content of a project of DVC may be: its cache, a remote, the files themselves."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from penstock.core.errors import InvalidInputError
from penstock.datasets.dvc.format import Out, key_of, old_key_of
from penstock.datasets.dvc.project import HOME, Config, DvcProject


class Place(Protocol):
    """Gives content by its key."""

    def open(self, key: str) -> BinaryIO | None:
        """A stream; None where there is nothing."""
        ...


class FolderPlace:
    """A cache or remote in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, key: str) -> BinaryIO | None:
        """A stream; None where there is nothing."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return (self._folder / key).open("rb")
        return None


class Places:
    """All places of a project, nearest first.

    Args:
        project: its configuration says where they are.
        remote: the name or URL of the one to ask; empty: the default one.

    Raises:
        InvalidInputError: there is no such remote, or it is of a kind that cannot be read.
    """

    def __init__(self, project: DvcProject, remote: str = "") -> None:
        self._project = project
        self._remote = remote or project.config.default_remote
        self._opened: dict[str, Place] = {}
        self._cache = FolderPlace(project.config.cache)
        if self._remote:
            self._open_remote(self._remote)

    def find(self, out: Out, name: str, path: str = "") -> Iterator[BinaryIO]:
        """Streams of what may be the content with an MD5, nearest first; each has to be checked.

        Args:
            out: the file or folder it is of.
            name: the MD5.
            path: of a file of a folder, below it.
        """
        keys = [key_of(name), old_key_of(name)]
        for place in self._places(out):
            for key in reversed(keys) if out.is_old else keys:
                stream = place.open(key)
                if stream is not None:
                    yield stream
        if not name.endswith(".dir"):
            stream = FolderPlace(self._project.root).open(f"{out.path}/{path}" if path else out.path)
            if stream is not None:
                yield stream

    def _places(self, out: Out) -> Iterator[Place]:
        yield self._cache
        name = out.remote or self._remote
        if name:
            yield self._open_remote(name)

    def _open_remote(self, name: str) -> Place:
        if name not in self._opened:
            self._opened[name] = open_remote(name, self._project.config, self._project.root)
        return self._opened[name]


def open_remote(name: str, config: Config, root: Path) -> Place:
    """A remote by its name or URL; errors as `Places`."""
    settings = config.remotes.get(name)
    if settings is None and "://" not in name and not Path(name).is_dir():
        known = ", ".join(sorted(config.remotes)) or "none"
        raise InvalidInputError(f"there is no remote {name!r}", hint=f"the project has: {known}")
    url = settings.get("url", "") if settings is not None else name
    parts = urlsplit(url)
    if "://" not in url:
        return FolderPlace(root / HOME / url if settings is not None else Path(url))
    if parts.scheme == "file":
        return FolderPlace(Path(unquote(parts.path)))
    raise InvalidInputError(
        f"the remote {url} is of a kind that cannot be read here", hint="run 'dvc fetch' first: its cache is looked at"
    )

"""Where the content of a project of DVC may be: its cache, a remote, the files themselves."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from penstock.core.errors import InvalidInputError, UnavailableError
from penstock.datasets.dvc.format import Out, key_of, old_key_of
from penstock.datasets.dvc.project import HOME, Config, DvcProject

_BUCKETS = ("s3", "gs", "azure", "az")
_SETTINGS = {  # DVC's names of what obstore needs
    "endpointurl": "endpoint",
    "region": "region",
    "access_key_id": "access_key_id",
    "secret_access_key": "secret_access_key",
    "session_token": "session_token",
    "account_name": "account_name",
    "account_key": "account_key",
}
_IN_MEMORY = 8 << 20  # bytes of a file that is fetched whole
_PIECE = 1 << 20


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


class BucketPlace:
    """A remote in a bucket of S3, Google Cloud Storage or Azure.

    Args:
        url: such as `s3://bucket/prefix`.
        settings: of the remote, as DVC has them; what they do not say comes from the environment.

    Raises:
        InvalidInputError: they cannot be used.
    """

    def __init__(self, url: str, settings: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._prefix = parts.path.strip("/")
        self._shown = f"{parts.scheme}://{parts.netloc}"
        given = {ours: settings[theirs] for theirs, ours in _SETTINGS.items() if settings.get(theirs)}
        if settings.get("allow_anonymous_login", "").lower() == "true":
            given["skip_signature"] = "true"
        try:
            self._store = from_url(self._shown, config=given or None, client_options={"allow_http": True})  # type: ignore[call-overload]
        except (BaseError, OSError, ValueError) as error:
            raise InvalidInputError(f"the remote {url} cannot be opened: {str(error).splitlines()[0]}") from error

    def open(self, key: str) -> BinaryIO | None:
        """A stream; None where there is nothing.

        Raises:
            UnavailableError: the store cannot be read.
        """
        place = f"{self._prefix}/{key}" if self._prefix else key
        try:
            found = obstore.get(self._store, place)
            if found.meta["size"] <= _IN_MEMORY:
                return io.BytesIO(bytes(found.bytes()))
            return io.BufferedReader(_Pieces(found.stream(_PIECE)), _PIECE)
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            told = str(error).splitlines()[0]
            raise UnavailableError(
                f"{self._shown} cannot be read: {told}", hint="credentials come from .dvc/config or the environment"
            ) from error


class _Pieces(io.RawIOBase):
    """What comes in pieces, as a stream."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        self._pieces = iter(pieces)
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the present piece reaches."""
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held = memoryview(piece)
        length = min(len(buffer), len(self._held))
        buffer[:length] = self._held[:length]
        self._held = self._held[length:]
        return length


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
    if parts.scheme in _BUCKETS:
        return BucketPlace(url, settings or {})
    raise InvalidInputError(
        f"the remote {url} is of a kind that cannot be read here", hint="run 'dvc fetch' first: its cache is looked at"
    )

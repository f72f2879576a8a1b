"""Artifacts that lie in folders of this machine."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from penstock.sdk.mlflow_import.source import SourceFile, UnreadableArtifactsError

_PROXIED = "mlflow-artifacts"


class LocalArtifacts:
    """Finds the folder of an artifact URI.

    Args:
        destination: the folder behind `mlflow-artifacts:/`, which the server was started with; None: not known.
        base: what relative paths are relative to.
    """

    def __init__(self, destination: Path | None, base: Path) -> None:
        self._destination = destination
        self._base = base

    def find_folder(self, uri: str) -> Path:
        """The folder that a URI means, whether it is there or not; UnreadableArtifactsError where it is none."""
        parts = urlsplit(uri)
        if parts.scheme == _PROXIED and self._destination is not None:
            return self._destination / unquote(parts.path).lstrip("/")
        if parts.scheme == _PROXIED:
            raise UnreadableArtifactsError(
                f"{uri} lies behind a server", hint="say with --artifacts which folder its --artifacts-destination is"
            )
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            return Path(unquote(parts.path))
        if parts.scheme or not uri:
            raise UnreadableArtifactsError(
                f"{uri or 'an empty artifact URI'} is no folder of this machine",
                hint="import from the server's URL, which can read it",
            )
        return self._base / uri


def list_folder(folder: Path) -> list[SourceFile]:
    """Every file below a folder by its path; none where there is no folder. What leads out of it is named, not read.

    Raises:
        UnreadableArtifactsError: a part of it cannot be read.
    """
    found = []
    root = folder.resolve()
    try:
        for parent, folders, names in os.walk(folder, onerror=_raise):
            links = [name for name in folders if Path(parent, name).is_symlink()]
            for path in (Path(parent, name) for name in (*names, *links)):
                problem = _find_problem(path, root)
                size = 0 if problem else path.stat().st_size
                found.append(SourceFile(path.relative_to(folder).as_posix(), size, problem))
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not folder.exists():
            return []
        raise UnreadableArtifactsError(f"{error.filename} cannot be read: {error.strerror}") from error
    return sorted(found, key=lambda file: file.path)


@contextlib.contextmanager
def open_local(path: Path) -> Iterator[Path]:
    """The path itself, when its file can be read; UnreadableArtifactsError where not."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise UnreadableArtifactsError(f"{path} cannot be read: {error.strerror}") from error
    yield path


def _find_problem(path: Path, root: Path) -> str:
    if path.is_symlink():
        target = path.resolve()
        if not target.is_relative_to(root):
            return f"it is a link to {target}, out of its folder; put the file itself there"
        if target.is_dir():
            return f"it is a link to the folder {target}; put the folder itself there"
    return "" if path.is_file() else "it is no file"


def _raise(error: OSError) -> None:
    raise error

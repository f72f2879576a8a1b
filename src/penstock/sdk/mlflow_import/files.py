"""Artifacts that lie in folders of this machine."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from penstock.sdk.mlflow_import.source import SourceFile, UnreadableArtifactsError

_PROXIED = "mlflow-artifacts"


class LocalArtifacts:
    """Finds the folder of an artifact URI.

    Args:
        destination: the folder behind `mlflow-artifacts:/`, which the server was started with; None: not known.
    """

    def __init__(self, destination: Path | None) -> None:
        self._destination = destination

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
        return Path(uri)


def list_folder(folder: Path) -> list[SourceFile]:
    """Every file below a folder by its path; none where there is no folder.

    Raises:
        UnreadableArtifactsError: a part of it cannot be read.
    """
    found = []
    try:
        for parent, _, names in os.walk(folder, onerror=_raise):
            for path in (Path(parent, name) for name in names):
                if path.is_file():
                    found.append(SourceFile(path.relative_to(folder).as_posix(), path.stat().st_size))
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not folder.exists():
            return []
        raise UnreadableArtifactsError(f"{error.filename} cannot be read: {error.strerror}") from error
    return sorted(found, key=lambda file: file.path)


def _raise(error: OSError) -> None:
    raise error

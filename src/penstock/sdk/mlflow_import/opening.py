"""Finds out what a source is: a server's URL, a database, or a folder."""

from pathlib import Path

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.sdk.connect import is_url
from penstock.sdk.mlflow_import.database import DatabaseSource
from penstock.sdk.mlflow_import.folder import FolderSource
from penstock.sdk.mlflow_import.rest import RestSource
from penstock.sdk.mlflow_import.source import Source

_SQLITE = b"SQLite format 3\x00"


def open_source(place: str, artifacts: Path | None = None) -> Source:
    """The MLflow store at a place.

    Args:
        place: a server's URL, the URL of a database, a file of SQLite, or an `mlruns` folder.
        artifacts: the folder behind `mlflow-artifacts:/`; None: not known.

    Raises:
        NotFoundError: nothing is there.
        InvalidInputError: what is there is no MLflow store.
        UnavailableError: it cannot be reached.
    """
    if is_url(place):
        return RestSource(place)
    if "://" in place and not place.startswith("file:"):
        return DatabaseSource(place, artifacts)
    path = Path(place.removeprefix("file://")).expanduser()
    if not path.exists():
        raise NotFoundError(
            f"there is no {path}", hint="name an mlruns folder, a SQLite file, a database URL, or a server's URL"
        )
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) != _SQLITE:
                raise InvalidInputError(f"{path} is not a database of MLflow: it is no SQLite file")
        return DatabaseSource(f"sqlite:///{path.absolute()}", artifacts)
    for folder in (path, path / "mlruns"):
        if FolderSource.is_one(folder):
            return FolderSource(folder.absolute(), artifacts)
    raise InvalidInputError(
        f"{path} is not a folder of MLflow: no folder in it has a meta.yaml",
        hint="name the mlruns folder itself; where MLflow kept a database, name its file",
    )

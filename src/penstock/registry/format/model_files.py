"""Reads the files of a model directory, and nothing beside it."""

from pathlib import Path

from penstock.core.errors import CorruptDataError


def find_file(folder: Path, name: object) -> Path:
    """The place of a file or folder that a model directory names.

    Raises:
        CorruptDataError: it is not there, or lies outside the directory.
    """
    path = folder / str(name)
    if not isinstance(name, str) or not path.resolve().is_relative_to(folder.resolve()):
        raise CorruptDataError(f"the model in {folder} names {name!r}, which is not among its files")
    if not path.exists():
        raise CorruptDataError(f"{name} of the model in {folder} is missing", hint="restore the directory")
    return path


def read_file(folder: Path, name: object) -> bytes:
    """The content of a file that a model directory names.

    Raises:
        CorruptDataError: it cannot be read, or lies outside the directory.
    """
    try:
        return find_file(folder, name).read_bytes()
    except OSError as error:
        raise CorruptDataError(f"{name} of the model in {folder} cannot be read: {error}") from error

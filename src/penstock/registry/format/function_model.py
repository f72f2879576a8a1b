"""A function of a project as a model, with what it needs beside its code."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.registry.format.model_files import find_file, read_file
from penstock.registry.format.types import Label

_SETTINGS = "function.json"


class _Settings(Struct, frozen=True, kw_only=True):
    function: str  # module:name
    classes: tuple[Label, ...] = ()
    artifacts: dict[str, str] = {}  # name to kind:path


class FunctionModel:
    """A function that predicts a frame, with its artifacts.

    Its code is saved as it stands in the project, and its artifacts as files beside it; nothing is pickled. It runs in
    a process of its own.

    Attributes:
        function: a function of a module; it is given the frame, and each artifact by name.
        artifacts: NumPy arrays, values that JSON knows, and files or folders as `Path`.
        classes: of a classifier, in the order of its probabilities.
    """

    def __init__(
        self, function: Callable[..., Any], artifacts: Mapping[str, Any] | None = None, *, classes: Sequence[Label] = ()
    ) -> None:
        self.function = function
        self.artifacts = dict(artifacts or {})
        self.classes = tuple(classes)

    def predict(self, frame: Any) -> Any:
        """What the function gives for a polars frame.

        Returns:
            The prediction frame of the task, or an array: predictions of a regression, the probabilities of the second
            of two classes, or those of all classes as columns.
        """
        return self.function(frame, **self.artifacts)

    def save(self, folder: Path) -> None:
        """Write the artifacts, and the name of the function.

        Raises:
            InvalidInputError: the function has no name to import it by, or an artifact is nothing that can be written.
        """
        noted = {name: _write(name, value, folder) for name, value in self.artifacts.items()}
        settings = _Settings(function=name_object(self.function), classes=self.classes, artifacts=noted)
        (folder / _SETTINGS).write_bytes(codec.encode(settings))

    @classmethod
    def load(cls, folder: Path) -> "FunctionModel":
        """Import the function, and read the artifacts.

        Raises:
            CorruptDataError: one of them is not there.
        """
        try:
            settings = codec.decode(read_file(folder, _SETTINGS), _Settings)
        except InvalidInputError as error:
            raise CorruptDataError(f"{_SETTINGS} in {folder} is damaged: {error}") from error
        artifacts = {name: _read(text, folder) for name, text in settings.artifacts.items()}
        return cls(import_object(settings.function), artifacts, classes=settings.classes)


def name_object(value: Any) -> str:
    """Where a class or function stands, as `module:name`.

    Raises:
        InvalidInputError: it stands nowhere that it could be imported from.
    """
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
    if not module or module == "__main__" or not name or "<" in name:
        raise InvalidInputError(
            f"{name or value!r} cannot be imported by name, so its code cannot be saved",
            hint="put it into a module of the project, outside of any function",
        )
    return f"{module}:{name}"


def import_object(place: str) -> Any:
    """The class or function of a name.

    Raises:
        CorruptDataError: it is not there, or its module cannot be imported.
    """
    name, _, path = place.partition(":")
    try:
        found: Any = import_module(name)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module of somebody's own may raise anything
        raise CorruptDataError(f"{place} cannot be imported from the code of the model: {error!r}") from error
    return found


def _write(name: str, value: Any, folder: Path) -> str:
    """Write an artifact to a file of its own; its kind, and where it is."""
    if not name.isidentifier():
        raise InvalidInputError(f"{name!r} cannot be the name of an artifact", hint="the function is given it by name")
    if isinstance(value, Path):
        if not value.exists():
            raise InvalidInputError(f"the artifact {name!r} is {value}, which is not there")
        target = folder / name
        target.mkdir()
        copy: Any = shutil.copytree if value.is_dir() else shutil.copyfile
        copy(value, target / value.name)
        return f"file:{name}/{value.name}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        np.save(folder / f"{name}.npy", value, allow_pickle=False)
        return f"array:{name}.npy"
    try:
        (folder / f"{name}.json").write_bytes(codec.encode(value))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"the artifact {name!r} is a {type(value).__name__}, which is neither an array, a file nor plain values",
            hint="write it to a file and give its Path",
        ) from error
    return f"json:{name}.json"


def _read(noted: str, folder: Path) -> Any:
    kind, _, path = noted.partition(":")
    if kind == "file":
        return find_file(folder, path).resolve()
    if kind == "array":
        return np.load(find_file(folder, path), allow_pickle=False)
    return codec.decode(read_file(folder, path), Any)

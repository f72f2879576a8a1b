"""The files of an `mlruns` folder: a YAML file for each thing, a file for each parameter, tag and metric."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

from penstock.core.errors import InvalidInputError, PenstockError
from penstock.core.plain_yaml import load_yaml
from penstock.sdk.mlflow_import.points import to_history
from penstock.tracking.histories import History
from penstock.tracking.logged_models.points import ModelPoint
from penstock.tracking.tables import to_sortable

META = "meta.yaml"
T = TypeVar("T")


def each_with_meta(folder: Path) -> Iterator[Path]:
    """The folders in a folder that hold what MLflow keeps of a thing, by name."""
    if folder.is_dir():
        yield from sorted(each for each in folder.iterdir() if (each / META).is_file())


def read_all(homes: Iterator[Path], read: Callable[[Path], T], problems: list[str]) -> Iterator[T]:
    """What `read` makes of each; those that cannot be read become problems."""
    for home in homes:
        try:
            yield read(home)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{home} cannot be read: {error!r}; mend it or move it away, and import again")
        except PenstockError as error:
            told = str(error)
            problems.append(told if str(home) in told else f"{home}: {told}")


def read_meta(home: Path) -> dict[str, Any]:
    """The fields of a thing."""
    path = home / META
    try:
        held = load_yaml(path.read_bytes())
    except yaml.YAMLError as error:
        raise InvalidInputError(
            f"{path} cannot be read: it is no YAML", hint="mend it or move its folder away, and import again"
        ) from error
    if not isinstance(held, dict):
        raise InvalidInputError(
            f"{path} is empty, or holds no fields",
            hint="it may be half written: import again later, or move its folder away",
        )
    return held


def read_texts(folder: Path) -> dict[str, str]:
    """A text for each key; keys with slashes are files in folders."""
    return {key: path.read_bytes().decode("utf-8") for key, path in each_file(folder)}


def each_file(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder by their paths in it.

    Raises:
        InvalidInputError: one is a link: it could lead anywhere.
    """
    for parent, folders, names in os.walk(folder):
        for name in sorted((*names, *folders)):
            path = Path(parent, name)
            if path.is_symlink():
                raise InvalidInputError(f"{path} is a link", hint="put the file itself there, and import again")
        for name in sorted(names):
            path = Path(parent, name)
            yield path.relative_to(folder).as_posix(), path


def read_history(path: Path, *, is_growing: bool) -> History:
    """The points of a metric of a run; of a run that goes on, a last line that has no end yet does not count."""
    rows = [line.split() for line in _each_line(path, is_growing=is_growing)]
    try:
        steps = [int(row[2]) if len(row) > 2 else 0 for row in rows]
        return to_history(str(path), [int(row[0]) for row in rows], steps, [float(row[1]) for row in rows])
    except (ValueError, IndexError) as error:
        raise _no_point(path, error) from error


def read_model_points(path: Path, key: str, model_id: str) -> Iterator[ModelPoint]:
    """The points of a metric of a logged model."""
    for line in _each_line(path, is_growing=False):
        try:
            at, value, step, run_id, *dataset = line.split()
            name, digest = dataset or ("", "")
            place = {"at": int(at) * 1_000, "step": int(step), "value": to_sortable(float(value))}
        except ValueError as error:
            raise _no_point(path, error) from error
        yield ModelPoint(model_id=model_id, run_id=run_id, key=key, dataset_name=name, dataset_digest=digest, **place)


def _each_line(path: Path, *, is_growing: bool) -> list[str]:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    if is_growing and lines and not lines[-1].endswith("\n"):
        lines.pop()
    return [line for line in lines if line.strip()]


def _no_point(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"{path} holds a line that is no point of a metric: {error}", hint="mend the line, and import again"
    )

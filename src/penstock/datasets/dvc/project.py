"""A project of DVC: what its `.dvc` and `dvc.lock` files name, and where its configuration says the content is."""

import configparser
import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.plain_yaml import load_yaml
from penstock.datasets.dvc.format import FOLDER_ENDING, Out, is_md5

HOME, LOCK, PIPELINE, ENDING = ".dvc", "dvc.lock", "dvc.yaml", ".dvc"
_NO_DATA = (HOME, ".git", ".penstock", ".venv", "node_modules")


class Config(Struct, frozen=True):
    """What matters of `.dvc/config` and `.dvc/config.local`."""

    cache: Path
    default_remote: str
    remotes: Mapping[str, Mapping[str, str]]  # the settings of each, `url` among them


class DvcProject(Struct, frozen=True):
    """What there is to take over."""

    root: Path
    config: Config
    outs: tuple[Out, ...]
    skipped: tuple[str, ...]  # what cannot be taken over, and why


def open_project(place: Path) -> DvcProject:
    """The project around a folder, and of its files those below that folder; or those that one `.dvc` file names.

    Raises:
        NotFoundError: there is no project.
        InvalidInputError: one of its files cannot be read.
    """
    place = Path(os.path.abspath(place))  # without `..`, and no link is resolved
    root = next((folder for folder in (place, *place.parents) if (folder / HOME).is_dir()), None)
    if root is None or not place.exists():
        raise NotFoundError(f"{place} is in no project of DVC", hint="name a folder that has a folder .dvc in it")
    reading = _Reading(root)
    if place.is_file():
        reading.read_file(place)
    else:
        reading.walk(place)
    return DvcProject(root, read_config(root / HOME), tuple(reading.outs.values()), tuple(reading.skipped))


def read_config(home: Path) -> Config:
    """The configuration of the project whose folder `.dvc` this is; InvalidInputError when it cannot be read."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read([home / "config", home / "config.local"], "utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{home / 'config'} cannot be read: {error}") from error
    sections = {name.strip("'"): settings[name] for name in settings.sections()}
    remotes = {
        name.removeprefix("remote ").strip('"'): dict(section)
        for name, section in sections.items()
        if name.startswith("remote ")
    }
    cache = settings.get("cache", "dir", fallback="cache")
    return Config((home / cache).resolve(), settings.get("core", "remote", fallback=""), remotes)


class _Reading:
    def __init__(self, root: Path) -> None:
        self._root = root
        self.outs: dict[str, Out] = {}
        self.skipped: list[str] = []

    def walk(self, folder: Path) -> None:
        """Read what is in a folder and below, but not within what DVC has in its care."""
        for top, folders, names in os.walk(folder):
            for name in sorted(names):
                if name == LOCK or (name.endswith(ENDING) and name != ENDING):
                    self.read_file(Path(top) / name)
            here = posixpath.normpath(Path(top).relative_to(self._root).as_posix())
            folders[:] = sorted(
                name
                for name in folders
                if name not in _NO_DATA and posixpath.normpath(posixpath.join(here, name)) not in self.outs
            )

    def read_file(self, file: Path) -> None:
        """Read a `.dvc` file or a `dvc.lock`."""
        held = _load(file)
        shown = file.relative_to(self._root).as_posix()
        found = _of_lock(file, held) if file.name == LOCK else ((held.get("wdir", "."), out) for out in _outs(held))
        for folder, out in found:
            self._add(shown, posixpath.join(posixpath.dirname(shown), str(folder)), out)

    def _add(self, file: str, folder: str, held: Mapping[str, Any]) -> None:
        path = posixpath.normpath(posixpath.join(folder, str(held.get("path", ""))))
        md5 = str(held.get("md5") or "")
        reason = ""
        if held.get("cache") is False:
            return  # it stands in Git
        if "://" in str(held.get("path", "")) or path.startswith(("/", "../")) or path in (".", ".."):
            reason = "it lies outside of the project"
        elif not is_md5(md5.removesuffix(FOLDER_ENDING)):
            reason = "there is no MD5 for it"
        if reason:
            self.skipped.append(f"{path} of {file}: {reason}")
            return
        self.outs.setdefault(
            path,
            Out(
                path=path,
                md5=md5.removesuffix(FOLDER_ENDING),
                is_folder=md5.endswith(FOLDER_ENDING),
                is_old="hash" not in held,
                is_executable=bool(held.get("isexec")),
                remote=str(held.get("remote") or ""),
                file=file,
            ),
        )


def _of_lock(file: Path, held: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The folder and the outs of every stage, those left out that stand in Git."""
    pipeline = file.with_name(PIPELINE)
    stages = _load(pipeline).get("stages") if pipeline.is_file() else None
    locked = held.get("stages", {})
    for name, stage in (locked if isinstance(locked, dict) else {}).items():
        written = stages.get(name.partition("@")[0], {}) if isinstance(stages, dict) else {}
        said = written.get("do", written) if isinstance(written, dict) else {}
        said = said if isinstance(said, dict) else {}
        folder = str(said.get("wdir", "."))
        in_git = _without_cache(said)
        for out in _outs(stage if isinstance(stage, dict) else {}):
            if out.get("path") not in in_git:
                yield folder, out


def _without_cache(stage: Mapping[str, Any]) -> set[str]:
    found = set()
    for kind in ("outs", "metrics", "plots"):
        outs = stage.get(kind)
        for out in outs if isinstance(outs, list) else ():
            if isinstance(out, dict):
                found |= {path for path, how in out.items() if isinstance(how, dict) and how.get("cache") is False}
    return found


def _outs(held: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    outs = held.get("outs")
    return [out for out in outs if isinstance(out, dict)] if isinstance(outs, list) else []


def _load(file: Path) -> Mapping[str, Any]:
    try:
        held = load_yaml(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = str(error).splitlines()[0]
        raise InvalidInputError(f"{file} cannot be read: {told}") from error
    if not isinstance(held, dict):
        raise InvalidInputError(f"{file} is no file of DVC")
    return held

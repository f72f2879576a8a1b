"""Reads `penstock.toml` into a `Project`, or says everything that is wrong with it at once."""

import re
import tomllib
from pathlib import Path
from typing import Any

from penstock.core.errors import NotFoundError
from penstock.core.project.mistakes import Mistake, ProjectFileError
from penstock.core.project.positions import KeyPath, find_positions
from penstock.core.project.reading import Reader
from penstock.core.project.rules import check_rules
from penstock.core.project.types import ChecksFile, DataSection, Project

FILE_NAME = "penstock.toml"
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_KEY_OF_LINE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_SYNTAX_MISTAKES = 20  # where a text has more, it is no TOML at all


def load_project(path: Path, *, environment: str = "") -> Project:
    """Read a project file.

    Args:
        path: the file, or the folder it lies in.
        environment: the `[env.NAME]` whose keys replace those of the file; empty for none.

    Raises:
        NotFoundError: no such file.
        ProjectFileError: the file has mistakes; all of them are named.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        hint = "run `penstock init` to write one, or go to the folder of a project"
        raise NotFoundError(f"there is no project file {file}", hint=hint) from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ProjectFileError(file.name, [Mistake(line, "", "the file is not UTF-8 text")]) from error
    return parse_project(text, root=file.resolve().parent, file=file.name, environment=environment)


def load_checks(path: Path, source: str) -> DataSection:
    """Read a file with checks alone: `[[check]]` tables, and a `key` or a `time` before them.

    Args:
        path: the file.
        source: the table they are for.

    Raises:
        NotFoundError: no such file.
        ProjectFileError: the file has mistakes; all of them are named.
    """
    try:
        text = path.read_text("utf-8").replace("\r\n", "\n")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file of checks {path}") from error
    except UnicodeDecodeError as error:
        raise ProjectFileError(path.name, [Mistake(1, "", "the file is not UTF-8 text")]) from error
    values, mistakes, forgive = _parse_toml(text)
    if values is None:
        raise ProjectFileError(path.name, mistakes)
    reader = Reader(find_positions(_blank(text, [mistake.line for mistake in mistakes])), forgive=forgive)
    read = reader.read_whole(values, ChecksFile)
    check_rules(reader)
    if mistakes or reader.mistakes:
        raise ProjectFileError(path.name, sorted({*mistakes, *reader.mistakes}))
    return DataSection(
        source=source, time=read.time, key=read.key, label=read.label, pandera=read.pandera, checks=read.checks
    )


def parse_project(text: str, *, root: Path, file: str = FILE_NAME, environment: str = "") -> Project:
    """Read the text of a project file; see `load_project`."""
    text = text.replace("\r\n", "\n")
    values, mistakes, forgive = _parse_toml(text)
    if values is None:
        raise ProjectFileError(file, mistakes)
    positions = find_positions(_blank(text, [mistake.line for mistake in mistakes]))
    environments = values.pop("env", {})
    project, found = _read(values, positions, root, forgive)
    for name, overrides in environments.items() if isinstance(environments, dict) else ():
        merged = _merge(values, overrides)
        changed, more = _read(merged, _positions_under(positions, ("env", name)), root, forgive)
        found += more
        project = changed if name == environment else project
    if environment and environment not in environments:
        known = ", ".join(environments) or "none"
        mistakes.append(Mistake(1, f"env.{environment}", "the file has no such environment", f"known here: {known}"))
    if mistakes or found:
        raise ProjectFileError(file, sorted({*mistakes, *found}))
    return project


def _parse_toml(text: str) -> tuple[dict[str, Any] | None, list[Mistake], frozenset[str]]:
    """The values, with the mistakes of syntax; a line with one is left out, so that the rest can be read as well."""
    mistakes: list[Mistake] = []
    keys: set[str] = set()
    lines = text.split("\n")
    for _ in range(_SYNTAX_MISTAKES):
        try:
            return tomllib.loads(_blank(text, [mistake.line for mistake in mistakes])), mistakes, frozenset(keys)
        except tomllib.TOMLDecodeError as error:
            mistake = _syntax_mistake(error, lines)
        line = lines[mistake.line - 1]
        if any(mistake.line == known.line for known in mistakes):
            return None, mistakes, frozenset()
        mistakes.append(mistake)
        if line.lstrip().startswith("["):  # without the header its keys would land in another table
            return None, mistakes, frozenset()
        keys.update(_KEY_OF_LINE.findall(line))
    return None, mistakes, frozenset()


def _syntax_mistake(error: tomllib.TOMLDecodeError, lines: list[str]) -> Mistake:
    place = _PLACE.search(str(error))
    line = int(place[1]) if place and place[1] else len(lines)
    message = _PLACE.sub("", str(error))
    shown = lines[line - 1].strip()
    return Mistake(line, "", f"{message[:1].lower()}{message[1:]} in {shown!r}")


def _blank(text: str, numbers: list[int]) -> str:
    if not numbers:
        return text
    lines = text.split("\n")
    for number in numbers:
        lines[number - 1] = ""
    return "\n".join(lines)


def _read(
    values: dict[str, Any], positions: dict[KeyPath, int], root: Path, forgive: frozenset[str]
) -> tuple[Project, list[Mistake]]:
    reader = Reader(positions, forgive=forgive)
    values = _resolve_charter(values, reader)
    project = reader.read_whole(values, Project, root=root)
    check_rules(reader)
    return project, reader.mistakes


def _resolve_charter(values: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """Put the charter's target where a gate says `"charter"`."""
    charter = values.get("charter")
    gates = values.get("gate")
    target = charter.get("target") if isinstance(charter, dict) else None
    if not isinstance(gates, list):
        return values
    resolved = []
    for index, gate in enumerate(gates):
        bars = [bar for bar in ("at_least", "at_most") if isinstance(gate, dict) and gate.get(bar) == "charter"]
        for bar in bars if target is None else ():
            reader.report(("gate", index, bar), "the charter has no target", "add charter.target, or write a number")
        resolved.append({**gate, **dict.fromkeys(bars, target)} if bars else gate)
    return {**values, "gate": resolved}


def _merge(base: dict[str, Any], overrides: Any) -> dict[str, Any]:
    """`base` with the keys of `overrides` on top; lists are replaced, tables merged."""
    merged = dict(base)
    for key, value in overrides.items() if isinstance(overrides, dict) else ():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _positions_under(positions: dict[KeyPath, int], prefix: KeyPath) -> dict[KeyPath, int]:
    depth = len(prefix)
    inside = {path[depth:]: line for path, line in positions.items() if path[:depth] == prefix and len(path) > depth}
    return {**positions, **inside}

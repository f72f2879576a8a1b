"""Writes checks into a project file: what a person wrote stays as it is, comments and order included."""

import json
import os
import tomllib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import new_id
from penstock.core.project.positions import KeyPath, find_positions
from penstock.core.project.types import CheckSection


def checks_to_toml(checks: Sequence[CheckSection], header: str) -> str:
    """Checks as TOML, each under `[[header]]`; what is as by default is left out."""
    return "\n".join(f"[[{header}]]\n{_keys(check)}" for check in checks)


def add_checks(file: Path, dataset: str, checks: Sequence[CheckSection]) -> None:
    """Write checks into a project file, behind all else that its section of the dataset has.

    Raises:
        InvalidInputError: the section is written in a way that nothing can be added to.
        ConflictError: the file was changed meanwhile.
    """
    content = file.read_bytes()
    text = content.decode()
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    place = _place(lines, dataset)
    added = ["", *checks_to_toml(checks, f"data.{dataset}.check").rstrip("\n").split("\n")]
    before, after = lines[:place], lines[place:]
    while before and not before[-1].strip():
        before.pop()
    rest = "\n".join(after).strip("\n")
    written = "\n".join([*before, *added, *(["", rest] if rest else [])]) + "\n"
    _expect(written, text, dataset, len(checks))
    if file.read_bytes() != content:
        raise ConflictError(f"{file.name} was changed meanwhile", hint="try again")
    _replace(file, written.replace("\n", ending))


def _place(lines: Sequence[str], dataset: str) -> int:
    """The line before which checks go: where the next section begins, with the comments right above it."""
    positions = find_positions("\n".join(lines))
    ours = [line for path, line in positions.items() if _is_of(path, dataset)]
    if not ours:
        raise InvalidInputError(f"the project file has no [data.{dataset}]", hint="write its source first")
    others = [line for path, line in positions.items() if not _is_of(path, dataset) and line > max(ours)]
    if not others:
        return len(lines)
    place = min(others) - 1
    while lines[place - 1].lstrip().startswith("#"):
        place -= 1
    return place


def _is_of(path: KeyPath, dataset: str) -> bool:
    return path[:2] == ("data", dataset)


def _expect(written: str, before: str, dataset: str, count: int) -> None:
    """Refuse to write what would not read back as the file there was with so many checks more."""
    told = f"[data.{dataset}] is written in a way that checks cannot be added to"
    hint = "add what this command prints without --write by hand"
    try:
        new, old = tomllib.loads(written), tomllib.loads(before.replace("\r\n", "\n"))
        checks: list[Any] = new["data"][dataset]["check"]
        del checks[len(checks) - count :]
        old["data"][dataset].setdefault("check", [])
    except (tomllib.TOMLDecodeError, LookupError, TypeError) as error:
        raise InvalidInputError(told, hint=hint) from error
    if new != old:
        raise InvalidInputError(told, hint=hint)


def _replace(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.{new_id()}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(file.stat().st_mode & 0o777)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _keys(check: CheckSection) -> str:
    default = CheckSection()
    lines = []
    for name in CheckSection.__struct_fields__:
        value = getattr(check, name)
        if value != getattr(default, name):
            lines.append(f"{name} = {_value(value)}\n")
    return "".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, timedelta):
        return _value(f"{value.total_seconds():g}s")
    if isinstance(value, Struct):
        held = {name: getattr(value, name) for name in value.__struct_fields__}
        default = type(value)()
        shown = {name: each for name, each in held.items() if each != getattr(default, name)}
        return "{ " + ", ".join(f"{name} = {_value(each)}" for name, each in shown.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    # A JSON text is a basic TOML string, but for the one character that JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")

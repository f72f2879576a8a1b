"""Where a model runs: in the process that asks, or in one of its own, and with which packages."""

import re
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from penstock.compute.environments import read_requirements, split_requirement
from penstock.core.errors import InvalidInputError
from penstock.registry.format.open import open_flavor
from penstock.registry.format.types import ModelInfo

_FILE = "requirements.txt"
_OURS = "penstock"  # it stands behind every environment
_CLAUSE = re.compile(r"(===?|[~!<>]=|[<>])\s*([^,\s]+)")


class Place(Struct, frozen=True, kw_only=True):
    """Where a model runs, and why.

    Attributes:
        executes: whether loading it runs code that stands in its files: only where somebody vouches for them.
        requirements: the packages of an environment of its own; None: those that are here.
        reason: in words.
    """

    executes: bool
    requirements: tuple[str, ...] | None
    reason: str

    @property
    def is_here(self) -> bool:
        """Whether it may run in the process that asks."""
        return not self.executes and self.requirements is None


def choose_place(folder: Path, info: ModelInfo, installed: Mapping[str, str] | None = None) -> Place:
    """Where the model of a directory runs.

    A model whose format executes nothing needs the packages that read the format; any other needs all that its
    directory lists. Packages match when the versions that are asked for are here; where a version is pinned, another
    patch of it will do.

    Args:
        folder: the model directory.
        info: what it says about its model.
        installed: the packages that are here, by name in lower case; None: ask this interpreter.

    Raises:
        InvalidInputError: the list of requirements holds something else than packages.
    """
    if info.fast_form is not None and info.fast_form.used and find_spec("onnxruntime") is not None:
        return Place(executes=False, requirements=None, reason="its fast form needs none of its packages")
    flavor = open_flavor(info.flavor)
    listed = _read_list(folder, info)
    needed = listed if flavor.executes else _only(listed, flavor.packages)
    here = _installed() if installed is None else installed
    differing = [requirement for requirement in needed if not is_met(requirement, here)]
    why = f"its format ({info.flavor}) executes code" if flavor.executes else ""
    if differing:
        others = ", ".join(differing[:5]) + (" ..." if len(differing) > 5 else "")
        why = " and ".join(filter(None, (why, f"it needs {others}")))
    return Place(executes=flavor.executes, requirements=needed if differing else None, reason=why)


def is_met(requirement: str, installed: Mapping[str, str]) -> bool:
    """Whether the packages that are here fulfil a requirement."""
    name, versions, is_conditional = split_requirement(requirement)
    if name == _OURS:
        return True
    if is_conditional or name not in installed:
        return False
    here = _numbers(installed[name])
    return all(_fits(here, operator, wanted) for operator, wanted in _CLAUSE.findall(versions))


def _fits(here: tuple[int, ...], operator: str, wanted: str) -> bool:
    numbers = _numbers(wanted)
    length = max(len(here), len(numbers))
    ours, theirs = _filled(here, length), _filled(numbers, length)
    match operator:
        case "==" | "===":
            return ours[:2] == theirs[:2] if len(numbers) > 2 else ours[: len(numbers)] == numbers
        case "~=":
            return ours >= theirs and ours[: len(numbers) - 1] == numbers[:-1]
        case "!=":
            return ours[: len(numbers)] != numbers if wanted.endswith("*") else ours != theirs
        case ">=":
            return ours >= theirs
        case "<=":
            return ours <= theirs
        case ">":
            return ours > theirs
    return ours < theirs


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, without what only names a build or a preview."""
    found = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _filled(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return (*numbers, *[0] * (length - len(numbers)))


def _read_list(folder: Path, info: ModelInfo) -> tuple[str, ...]:
    if info.packages:
        return read_requirements("\n".join(f"{name}=={version}" for name, version in info.packages.items()))
    try:
        return read_requirements((folder / _FILE).read_text())
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{folder / _FILE} is no text: {error}") from error


def _only(requirements: tuple[str, ...], packages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line for line in requirements if split_requirement(line)[0] in packages)


def _installed() -> dict[str, str]:
    return {name.lower().replace("_", "-"): found.version for found in metadata.distributions() if (name := found.name)}

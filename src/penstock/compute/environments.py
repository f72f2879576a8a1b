"""Environments of Python packages, each built once and shared by all that need the same.

Only whole packages are installed (wheels): what runs code while it is installed is refused, as are addresses and
folders in a list of requirements. Where packages come from is for the user's own pip configuration to say.
"""

import fcntl
import importlib.util
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import new_id

log = logging.getLogger(__name__)

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[A-Za-z0-9._,\s-]*\])?\s*"
    r"(?P<versions>(?:(?:===?|[~!<>]=|[<>])\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*)(?P<marker>;.*)?"
)
_BUILD_WITHIN_S = 1800.0
_UNUSED_S = 30 * 24 * 3600.0
_USED = "used"  # a file whose time says when the environment was last asked for, and locked by who works in it
_held: dict[Path, int] = {}  # the locks of this process, until it ends
# What pip is told by its environment, as uv is told the same.
_FOR_UV = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
}


class EnvironmentMissingError(ConflictError):
    """An environment cannot be built here."""


def read_requirements(text: str) -> tuple[str, ...]:
    """The requirements of a list, sorted and without comments.

    Raises:
        InvalidInputError: a line is something else than a package with versions, such as an option or an address.
    """
    lines = (re.split(r"(?:^|\s)#", line)[0].strip() for line in text.splitlines())
    found = sorted({line for line in lines if line})
    for line in found:
        if not _REQUIREMENT.fullmatch(line):
            raise InvalidInputError(
                f"the requirement {line[:200]!r} is not a package with versions",
                hint="options, addresses and folders are not taken from a model; name packages of an index",
            )
    return tuple(found)


def split_requirement(requirement: str) -> tuple[str, str, bool]:
    """The name of a package as indexes write it, its versions, and whether it depends on a condition."""
    found = _REQUIREMENT.fullmatch(requirement)
    if found is None:
        raise InvalidInputError(f"{requirement[:200]!r} is no requirement")
    name = re.sub(r"[-_.]+", "-", found["name"]).lower()
    return name, found["versions"].strip(), bool(found["marker"])


def digest_environment(requirements: Iterable[str]) -> str:
    """What tells an environment from others: its requirements, the interpreter and the machine."""
    facts = [platform.python_version(), sys.platform, platform.machine(), *sorted(requirements)]
    return blake3("\n".join(facts).encode()).hexdigest()[:32]


def open_environment(requirements: tuple[str, ...], folder: Path) -> Path:
    """The interpreter of an environment with these packages; built now where there is none.

    Args:
        requirements: from `read_requirements`.
        folder: of all environments; those that nobody asked for in 30 days, and nobody works in, are removed.

    Raises:
        EnvironmentMissingError: a package cannot be had, or there is neither pip nor uv.
    """
    place = folder / digest_environment(requirements)
    if not place.exists():
        _build(requirements, place)
    (place / _USED).touch()
    if place not in _held:
        _held[place] = os.open(place / _USED, os.O_RDONLY)
        fcntl.flock(_held[place], fcntl.LOCK_SH)
    _sweep(folder)
    return place / "bin" / "python"


def _build(requirements: tuple[str, ...], place: Path) -> None:
    """Build beside the place, and move there in one step."""
    beside = place.with_name(f"{place.name}.{new_id()}.tmp")
    log.info("an environment is built", extra={"folder": str(place), "requirements": list(requirements)})
    try:
        beside.mkdir(parents=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(beside)], {})
        if requirements:
            list_file = beside / "requirements.txt"
            list_file.write_text("".join(f"{line}\n" for line in requirements))
            _run(*_installer(beside / "bin" / "python", list_file))
        beside.rename(place)
    except OSError as error:
        if not place.exists():
            raise EnvironmentMissingError(f"no environment can be built in {place.parent}: {error}") from error
        log.info("another process was faster to build an environment", extra={"folder": str(place)})
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _installer(python: Path, list_file: Path) -> tuple[list[str], dict[str, str]]:
    """The command that installs, and what it needs in its environment."""
    if importlib.util.find_spec("pip") is not None:
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *quiet]
        return [*pip, "--only-binary", ":all:", "-r", str(list_file)], {}
    uv = shutil.which("uv")
    if uv is None:
        raise EnvironmentMissingError(
            "an environment for this model cannot be built: there is neither pip nor uv",
            hint=f"install one of them for {sys.executable}",
        )
    told = {theirs: os.environ[ours] for ours, theirs in _FOR_UV.items() if ours in os.environ}
    return [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        str(python),
        "--only-binary",
        ":all:",
        "-r",
        str(list_file),
    ], told


def _run(argv: list[str], told: dict[str, str]) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            argv, env=env | told, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_BUILD_WITHIN_S
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentMissingError(f"an environment was not built within {_BUILD_WITHIN_S:g} s") from error
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR:")] or said[-3:]
        raise EnvironmentMissingError(
            f"the packages that this model needs cannot be installed: {'; '.join(errors)[:1000]}",
            hint="see that your pip configuration leads to an index that has them",
        )


def _sweep(folder: Path) -> None:
    """Remove environments that nobody uses any more, and what a killed build left."""
    for place in folder.iterdir():
        used = place / _USED if (place / _USED).exists() else place
        try:
            is_old = time.time() - used.stat().st_mtime > _UNUSED_S
            if is_old and not _is_held(used):
                shutil.rmtree(place, ignore_errors=True)
        except FileNotFoundError:  # somebody else removes it
            continue


def _is_held(used: Path) -> bool:
    """Whether a process works in an environment: a gateway may live for longer than anybody asks for it anew."""
    descriptor = os.open(used, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

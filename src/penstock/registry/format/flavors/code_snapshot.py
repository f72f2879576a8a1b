"""A project's modules, copied beside a model and imported from there."""

import inspect
import shutil
import site
import sys
import sysconfig
from pathlib import Path
from typing import Any

from penstock.core.errors import InvalidInputError

_INSTALLED = tuple(
    Path(place).resolve()
    for place in {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
)
_SIZE_LIMIT = 50_000_000  # bytes of code; more is no code


def copy_code(place: str, target: Path) -> None:
    """Copy the module of an object, and every module of the project that is loaded, keeping their packages.

    Raises:
        InvalidInputError: the module is no file of a project, or there is too much.
    """
    name = place.partition(":")[0]
    root = find_root(place)
    files = {
        path
        for module in list(sys.modules.values())
        if (path := _file_of(module)) is not None and path.is_relative_to(root) and not _is_installed(path)
    }
    package = root / name.partition(".")[0]
    if package.is_dir():  # what is imported late belongs to it too
        files |= {path for path in package.rglob("*.py") if not _is_installed(path)}
    size = sum(path.stat().st_size for path in files)
    if size > _SIZE_LIMIT:
        raise InvalidInputError(f"the code around {name} has {size:,} bytes in {len(files)} modules, which is too much")
    for path in sorted(files):
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def make_importable(code: Path) -> None:
    """Let modules be imported from a folder of code, before any others of their names; the folder stays as it is."""
    sys.dont_write_bytecode = True
    if str(code) not in sys.path:
        sys.path.insert(0, str(code))


def find_root(place: str) -> Path:
    """The folder that the module of an object was imported from.

    Raises:
        InvalidInputError: the module is no file of a project.
    """
    name = place.partition(":")[0]
    path = _file_of(sys.modules.get(name))
    if path is None or _is_installed(path):
        raise InvalidInputError(
            f"the module {name} is no file of a project, so it cannot be saved with a model",
            hint="let a module of the project import what it needs from there",
        )
    depth = name.count(".") + (path.name == "__init__.py")
    return path.parents[depth]


def _file_of(module: Any) -> Path | None:
    try:
        found = inspect.getsourcefile(module)
    except TypeError:  # built in
        return None
    path = None if found is None else Path(found).resolve()
    return path if path is not None and path.suffix == ".py" and path.exists() else None


def _is_installed(path: Path) -> bool:
    own = Path(__file__).resolve().parents[3]  # penstock itself, wherever it is
    return any(path.is_relative_to(place) for place in (*_INSTALLED, own))

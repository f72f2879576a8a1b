"""How an interpreter in a sandbox finds penstock and what it stands on."""

import sys
from collections.abc import Sequence
from pathlib import Path

import penstock


def run_module(module: str, paths: Sequence[Path] = ()) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """The interpreter's arguments that run `main` of a module, and the folders it has to be able to read.

    Args:
        module: of penstock; our own packages stand behind those of the interpreter's environment.
        paths: folders of modules that stand before all others.
    """
    ours = tuple(Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    home = Path(penstock.__file__).parents[1]
    before = [str(path) for path in (*([] if home in ours else [home]), *paths)]
    put = f"sys.path[:0] = {before!r}; sys.path += {[str(path) for path in ours]!r}"
    return ("-I", "-c", f"import sys; {put}; from {module} import main; main()"), (*ours, *paths)

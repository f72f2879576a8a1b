"""Jobs that run a piece of code: as a command of its own, or forked from what its family shares."""

import sys
import textwrap
from pathlib import Path
from typing import Any

from penstock.compute.types import Family, Job


def spawned(folder: Path, code: str, **more: Any) -> Job:
    """A command of its own."""
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code))
    return Job(argv=argv, cwd=folder, log=folder / "job.log", **more)


def forked(folder: Path, code: str, *modules: str, name: str = "tests", **more: Any) -> Job:
    """One of a family; what it imports lies in `programs`."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    program = f"program{len(list(programs.iterdir()))}"
    (programs / f"{program}.py").write_text(textwrap.dedent(code))
    family = Family(name=name, modules=modules, env={"PYTHONPATH": str(programs)})
    return Job(argv=(sys.executable, "-P", "-m", program), cwd=folder, log=folder / "job.log", family=family, **more)

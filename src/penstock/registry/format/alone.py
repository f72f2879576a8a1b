"""Lets a model that was just saved answer in a process that knows nothing of where it came from."""

import os
import subprocess
import sys
from pathlib import Path

from penstock.core.errors import InvalidInputError, PenstockError
from penstock.registry.format.loaded import check_golden, load_model

_LIMIT_S = 300


def check_alone(folder: Path) -> None:
    """Let a fresh process, which cannot see the project, load a model and answer its golden rows.

    Raises:
        InvalidInputError: it cannot; the message says why.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[3])
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-m", __name__, str(folder.resolve())],  # the directory stays as it was saved
            cwd="/",
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInputError(f"the saved model did not answer within {_LIMIT_S} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise InvalidInputError(
            f"the model cannot be loaded from the code that was saved with it: {said[0]}",
            hint="keep what it needs in modules of the project, and its state in what it saves",
        )


def main(folder: str) -> int:
    """Load the model with all that it runs, and check its golden rows; 1 and the reason when they differ."""
    try:
        check_golden(load_model(Path(folder), may_execute=True))
    except PenstockError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

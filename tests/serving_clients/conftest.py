"""A model served by `penstock serve`, started from the project's own environment."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest_plugins = ["own_folder"]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Served:
    """Where the model answers, and what it must answer."""

    url: str
    rows: list[list[float]]
    prediction: list[int]
    score: list[float]


@pytest.fixture(scope="session")
def python() -> str:
    """The Python of the environment that penstock is installed in."""
    return os.environ.get("PENSTOCK_PYTHON", ".venv/bin/python")


@pytest.fixture(scope="session")
def served(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A logistic model `churn`, with plain rows that it was asked before it was served."""
    folder = tmp_path_factory.mktemp("served")
    made = subprocess.run([python, HERE / "make_model.py", folder / "churn"], check=True, capture_output=True)
    with serve(python, folder, "churn") as url:
        yield Served(url, **json.loads(made.stdout))


@contextmanager
def serve(python: str, folder: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """`penstock serve` in a folder of its own; gives its address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "penstock", "serve", *arguments, "--port", "0", "--json"],
            env=kept | environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "serve.log").read_text()
            yield json.loads(line)["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=300) == 0

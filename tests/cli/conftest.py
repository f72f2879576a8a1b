"""Runs command lines in this process, in a project folder of their own."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec import Struct

from penstock.cli.main import run
from penstock.sdk.scaffold import plan_project, write_project


class Said(Struct, frozen=True):
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on standard output."""
        return json.loads(self.out)


Penstock = Callable[..., Said]


@pytest.fixture
def penstock(capsys: pytest.CaptureFixture[str]) -> Penstock:
    """Runs a command line."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run(list(arguments))
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return call


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a project."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a table of customers, which is the working directory."""
    count = 60
    table = pl.DataFrame(
        {
            "customer_id": range(count),
            "age": [20 + number % 50 for number in range(count)],
            "plan": ["[basic]" if number % 3 else "plus" for number in range(count)],
            "churned": [number % 2 for number in range(count)],
        }
    )
    table.write_csv(nowhere / "customers.csv")
    plan = plan_project(nowhere / "customers.csv", "churned")
    folder = write_project(plan, nowhere / "customers.csv", nowhere / "churned")
    monkeypatch.chdir(folder)
    return folder

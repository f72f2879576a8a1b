"""A small project of one's own on real processes, as a user would have it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

import warm_python
from patience import PATIENCE_S

COMMAND = [sys.executable, "-m", "penstock"]


def make_customers(rows: int, *, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Customers who leave or stay; `shift` moves what makes them leave."""
    chance = np.random.default_rng(seed)
    age = chance.integers(18, 80, rows)
    calls = chance.poisson(2, rows)
    plan = chance.choice(["basic", "plus", "gold"], rows)
    logit = 0.9 * (calls - 2) - 0.03 * (age - 45) + 1.2 * (plan == "basic") - 0.6 + shift
    left = chance.random(rows) < 1 / (1 + np.exp(-logit))
    start = np.datetime64("2026-01-01T00:00:00", "us")
    return pl.DataFrame(
        {
            "customer_id": np.arange(rows) + seed * 1_000_000,
            "signed_at": start + np.arange(rows) * np.timedelta64(20 * 60 * 1_000_000, "us"),
            "age": age,
            "calls": calls,
            "plan": plan,
            "churned": left.astype(int),
        }
    )


class OwnProject:
    """A project folder and the commands that are run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.gateway_url = ""
        self.up: subprocess.Popen[str] | None = None

    @property
    def home(self) -> Path:
        """Where its state lies."""
        return self.folder / ".penstock"

    def run(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of penstock in the project."""
        argv = ["-m", "penstock", *arguments]
        done = warm_python.run(argv, cwd=self.folder, env=os.environ | environment, timeout=PATIENCE_S)
        if check and done.returncode != 0:
            raise AssertionError(
                f"penstock {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self.run(*arguments, "--json").stdout.splitlines()[-1])

    def start(self, **environment: str) -> None:
        """`penstock up`; on the ports it had before, or else on free ones."""
        ports = [url.rpartition(":")[2] or "0" for url in (self.url, self.gateway_url)]
        argv = [*COMMAND, "up", "--port", ports[0], "--gateway-port", ports[1], "--json"]
        with open(self.folder / "up.err", "a") as errors:
            self.up = subprocess.Popen(
                argv,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | environment,
            )
        assert self.up.stdout is not None
        line = self.up.stdout.readline()
        assert line, f"penstock up ended before it was ready: {(self.folder / 'up.err').read_text()}"
        told = json.loads(line)
        self.url, self.gateway_url = told["url"], told["gateway_url"]

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor; its processes follow."""
        assert self.up is not None
        self.up.send_signal(signal.SIGKILL)
        self.up.communicate()

    def stop(self) -> None:
        """Ctrl-C."""
        if self.up is not None and self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
            self.up.communicate(timeout=PATIENCE_S)

    def predict(self, rows: list[dict[str, Any]], **parameters: Any) -> httpx.Response:
        """Ask the gateway."""
        body = {"rows": rows, "parameters": parameters} if parameters else rows
        return httpx.post(f"{self.gateway_url}/predict/churned", json=body, timeout=PATIENCE_S)

    def processes(self) -> dict[str, int]:
        """The living processes of the project by name."""
        return find_processes(self.folder)


def init_project(folder: Path, *, rows: int = 2_000) -> OwnProject:
    """A project that `penstock init` wrote from a table of customers."""
    table = folder / "customers.csv"
    make_customers(rows, seed=1).write_csv(table)
    argv = [*COMMAND, "init", "--data", str(table), "--label", "churned", "--yes"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return OwnProject(folder / "churned")


def questions(rows: int, *, seed: int = 99) -> list[dict[str, Any]]:
    """Customers to ask about, as the model takes them."""
    return make_customers(rows, seed=seed).select("age", "calls", "plan").to_dicts()


def find_processes(folder: Path) -> dict[str, int]:
    """The living processes of a project by name, read from /proc."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                argv = (entry / "cmdline").read_bytes().split(b"\0")
                if str(folder).encode() in argv:
                    name = next(
                        (a.decode().rpartition(".")[2] for a in argv if a.startswith(b"penstock.processes.")), ""
                    )
                    if name:
                        found[name] = int(entry.name)
    return found


def kill(process: int) -> None:
    """SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)

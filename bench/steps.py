"""What a step costs: runs of a pipeline that imports scikit-learn and Polars, beside the import alone.

Each step is a process of its own. Started anew it would first import what the project needs, so that import, in a
Python of its own, is what a step costs at least elsewhere; a Python that does nothing is the machine's limit. Two runs
that differ only in the number of steps tell what one more step costs.

    python bench/steps.py [--rounds 3] [--steps 20] [--json]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = """\
[project]
name = "steps"
task = "binary"
[data.people]
source = "people.csv"
label = "bought"
[pipeline]
entry = "pipeline:train"
"""
PIPELINE = """\
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

import penstock as ps


@ps.step
def add(number: int) -> int:
    return number + 1


@ps.step
def fit(people: pl.DataFrame, number: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=5, random_state=number).fit(people.select("age"), people["bought"])


@ps.pipeline
def train(people: ps.Data) -> ps.Candidate:
    number = 0
    for _ in range({steps}):
        number = add(number)
    return ps.Candidate(fit(people, number), test=people)
"""
IMPORT = "import polars, penstock; from sklearn.ensemble import HistGradientBoostingClassifier"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--steps", type=int, default=20, help="how many more the larger pipeline has")
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    given = options.parse_args()
    few, many = "a run of 2 steps", f"a run of {given.steps + 2} steps"
    took: dict[str, list[tuple[float, float]]] = {}
    for number in range(given.rounds + 1):
        for name, measured in (
            ("python -c pass", measure("-c", "pass")),
            ("import of the libraries", measure("-c", IMPORT)),
            (few, measure_run(1)),
            (many, measure_run(given.steps + 1)),
        ):
            if number:  # the first round also writes the bytecode
                took.setdefault(name, []).append(measured)
    found = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in took.items()}
    found["one more step"] = [
        (large - small) / given.steps for large, small in zip(found[many], found[few], strict=True)
    ]
    if given.json:
        print(json.dumps({"bench": "steps", "seconds": found}))
        return
    imported = found["import of the libraries"]
    print(f"medians of {given.rounds}{'seconds':>24}{'CPU seconds':>14}{'of the import':>16}")
    for name, (wall, cpu) in found.items():
        print(f"{name:<26}{wall:>12.3f}{cpu:>14.3f}{wall / imported[0]:>15.2f}x")


def measure_run(steps: int) -> tuple[float, float]:
    """Seconds and CPU seconds of `penstock run` in a new project."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "penstock.toml").write_text(PROJECT)
        (root / "pipeline.py").write_text(PIPELINE.format(steps=steps))
        rows = "".join(f"{20 + n * 7 % 50},{n % 2}\n" for n in range(400))
        (root / "people.csv").write_text(f"age,bought\n{rows}")
        return measure("-m", "penstock", "run", "--json", cwd=root)


def measure(*arguments: str, cwd: Path | None = None) -> tuple[float, float]:
    """Seconds and CPU seconds of a Python and of all that it starts."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, began = os.times(), time.perf_counter()
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - began, os.times()
    if ended.returncode:
        sys.exit(f"{' '.join(arguments)} failed: {(ended.stdout + ended.stderr).strip()[-600:]}")
    user, system = after.children_user - before.children_user, after.children_system - before.children_system
    return wall, user + system


if __name__ == "__main__":
    main()

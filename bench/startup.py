"""How long it takes until penstock is there: the import and the help page, beside a Python that does nothing.

    python bench/startup.py [--rounds 7] [--json]

Each figure is the best of several rounds, taken in turns, in milliseconds, bytecode on disk.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import penstock": ["-c", "import penstock"],
    "penstock --help": ["-m", "penstock", "--help"],
    "penstock status --help": ["-m", "penstock", "status", "--help"],
    "penstock up --help": ["-m", "penstock", "up", "--help"],
    "penstock run --help": ["-m", "penstock", "run", "--help"],
    "penstock init --help": ["-m", "penstock", "init", "--help"],
    "import penstock; penstock.step": ["-c", "import penstock; penstock.step"],
    "import penstock; penstock.connect": ["-c", "import penstock; penstock.connect"],
    "import sqlalchemy": ["-c", "import sqlalchemy"],
    "import numpy": ["-c", "import numpy"],
    "import polars": ["-c", "import polars"],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    given = options.parse_args()
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(given.rounds + 1):  # the first one also writes the bytecode
        for name, arguments in COMMANDS.items():
            best[name] = min(best[name], run(arguments))
    if given.json:
        print(json.dumps({"bench": "startup", "milliseconds": best}))
        return
    print(f"best of {given.rounds + 1}, milliseconds; Python {platform.python_version()}, {os.cpu_count()} cores")
    for name, milliseconds in best.items():
        print(f"{name:<34} {milliseconds:>8.0f}   {milliseconds - best['python -c pass']:>+6.0f}")


def run(arguments: list[str]) -> float:
    """Milliseconds of one process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    ended = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    elapsed = (time.perf_counter() - began) * 1000
    if ended.returncode:
        sys.exit(f"{' '.join(arguments)} failed: {ended.stderr.strip()[-300:]}")
    return elapsed


if __name__ == "__main__":
    main()

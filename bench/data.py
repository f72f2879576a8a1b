"""Versions of data: ours beside DVC and the machine's limits, on the same files in the same run.

    python bench/data.py [--rounds 3] [--files 50000] [--mb 2048] [--folder /dev/shm] [--dvc FOLDER] [--json]
                         [--cells tree,big,grow,many] [--many 1000000]

Each command is a process of its own, as people call it; seconds are those of the clock, `cpu` its processor time with
its children. Sides take turns, round by round; the median of the rounds is shown, and how many times better ours is
than DVC. `--dvc` is the folder of an environment with DVC; without it that column stays empty. Use a folder in memory:
a disk measures itself. Limits: `cp`, `tar x` of the same files, and a walk that asks the file system about each.

  tree   files of 4 KB in 100 folders: add, status of what did not change, checkout, add after one was changed
  big    one file: add, checkout
  grow   a table that grows by 1 % at its end, and is changed by 1 % in its middle: bytes that are new in the store
  many   files of 300 bytes, a tenth, and all of them: microseconds for each, and the memory of all processes together
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Figures = dict[str, float]
SAMPLE_S = 0.05  # between two looks at the memory
QUIET = {"DVC_NO_ANALYTICS": "1"}


class Side:
    """A tool that versions data, by its commands."""

    def __init__(self, name: str, program: list[str], store: str) -> None:
        self.name = name
        self._program = program
        self._store = store

    def start(self, folder: Path) -> None:
        """Prepare a folder."""
        if self.name == "dvc":
            subprocess.run([*self._program, "init", "--no-scm", "-q"], cwd=folder, check=True)

    def command(self, what: str, path: str) -> list[str]:
        """The command for `add`, `status` or `checkout`."""
        if self.name == "dvc":
            return [*self._program, what, "-q", path if what == "add" else f"{path}.dvc"]
        return [*self._program, "data", what, path]

    def stored(self, folder: Path) -> int:
        """Bytes in its store."""
        return sum(path.stat().st_size for path in (folder / self._store).rglob("*") if path.is_file())


def run(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of the clock and of the processors that a command takes."""
    os.sync()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=os.environ | QUIET)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_tree(folder: Path, files: int, size: int, folders: int = 100) -> None:
    """Files of chance, the same ones each time."""
    chance = random.Random(1)
    for number in range(folders):
        (folder / f"{number:03}").mkdir(parents=True)
        for file in range(files // folders):
            (folder / f"{number:03}" / f"{file:05}.bin").write_bytes(chance.randbytes(size))


def make_big(file: Path, mb: int) -> None:
    """One file of chance."""
    chance = random.Random(2)
    with file.open("wb") as out:
        for _ in range(mb):
            out.write(chance.randbytes(1 << 20))


def make_table(file: Path, mb: int) -> None:
    """A CSV of ten columns; the first is a number that grows."""
    chance = random.Random(3)
    rows = [",".join(f"{chance.random():.9f}" for _ in range(9)) for _ in range(8192)]
    written = number = 0
    with file.open("w") as out:
        while written < mb << 20:
            text = "".join(f"{number + place},{row}\n" for place, row in enumerate(rows))
            number += len(rows)
            written += out.write(text)


def measure_tree(side: Side, source: Path, folder: Path) -> Figures:
    """A folder of many small files."""
    shutil.copytree(source, folder / "tree")
    side.start(folder)
    figures = timed("tree: add", run(side.command("add", "tree"), folder))
    figures |= timed("tree: status", run(side.command("status", "tree"), folder))
    shutil.rmtree(folder / "tree")
    figures |= timed("tree: checkout", run(side.command("checkout", "tree"), folder))
    if subprocess.run(["diff", "-rq", source, folder / "tree"], stdout=subprocess.DEVNULL, check=False).returncode:
        raise SystemExit(f"what {side.name} checked out is not what was added")
    (folder / "tree" / "000" / "00000.bin").write_bytes(b"changed")
    return figures | timed("tree: add, 1 changed", run(side.command("add", "tree"), folder))


def measure_big(side: Side, source: Path, folder: Path) -> Figures:
    """One large file."""
    shutil.copyfile(source, folder / "big")
    side.start(folder)
    figures = timed("big: add", run(side.command("add", "big"), folder))
    (folder / "big").unlink()
    figures |= timed("big: checkout", run(side.command("checkout", "big"), folder))
    if subprocess.run(["cmp", "-s", source, folder / "big"], check=False).returncode:
        raise SystemExit(f"what {side.name} checked out is not what was added")
    return figures


def measure_grow(side: Side, source: Path, folder: Path) -> Figures:
    """A table that grows, and then changes in its middle."""
    size = source.stat().st_size
    shutil.copyfile(source, folder / "table.csv")
    side.start(folder)
    run(side.command("add", "table.csv"), folder)
    stored = side.stored(folder)
    with source.open("rb") as start, (folder / "table.csv").open("ab") as out:
        out.write(start.read(size // 100))
    figures = timed("grow: add", run(side.command("add", "table.csv"), folder))
    figures["grow: new bytes, % of the file"] = (side.stored(folder) - stored) * 100 / size
    stored = side.stored(folder)
    with (folder / "table.csv").open("r+b") as file:
        file.seek(size // 2)
        file.write(random.Random(4).randbytes(size // 100))
    run(side.command("add", "table.csv"), folder)
    return figures | {"changed in its middle: new bytes, % of the file": (side.stored(folder) - stored) * 100 / size}


def measure_many(side: Side, source: Path, folder: Path) -> Figures:
    """Very many files: time for each of them, and memory."""
    files = sum(len(names) for _, _, names in os.walk(source))
    os.rename(source, folder / "tree")  # a copy of a million files takes longer than everything else here
    figures = {}
    for what in ("add", "status", "checkout"):
        if what == "checkout":
            shutil.rmtree(folder / "tree")
        with sampling() as peak:
            took, _ = run(side.command(what, "tree"), folder)
        figures |= {f"{what} of {files:,}, us each": took * 1e6 / files, f"{what} of {files:,}, MB": peak[0]}
    return figures


def timed(name: str, took: tuple[float, float]) -> Figures:
    """Both times of a command as figures."""
    return {f"{name}, s": took[0], f"{name}, s cpu": took[1]}


@contextlib.contextmanager
def sampling() -> Iterator[list[float]]:
    """The largest sum of the memory of all processes below this one, in MB."""
    peak, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_S):
            peak[0] = max(peak[0], memory_mb())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def memory_mb() -> float:
    """Memory of all processes below this one; what is shared is counted by its part."""
    waiting, total = [os.getpid()], 0
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError, StopIteration):
            below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            waiting += map(int, below)
            if pid != os.getpid():
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def limits(cell: str, source: Path, folder: Path) -> dict[str, Figures]:
    """What the machine does with the same files: `cp`, `tar x` and a walk."""
    copied = timed("", run(["cp", "-r", str(source), str(folder / "copy")], folder))
    found: dict[str, Figures] = {"cp": {}, "tar x": {}, "walk": {}}
    for what in ("add", "checkout"):
        found["cp"] |= {f"{cell}: {what}{name}": figure for name, figure in copied.items()}
    if cell == "tree":
        subprocess.run(["tar", "cf", folder / "x.tar", "-C", source.parent, source.name], check=True)
        (folder / "out").mkdir()
        found["tar x"] = timed("tree: checkout", run(["tar", "xf", str(folder / "x.tar"), "-C", "out"], folder))
        found["walk"] = timed("tree: status", run(["find", str(source), "-printf", "%s %T@ "], folder))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--mb", type=int, default=2_048)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--dvc", type=Path, default=Path(".venv-dvc"))
    parser.add_argument("--cells", default="tree,big,grow")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    cells = given.cells.split(",")
    sides = [Side("penstock", [sys.executable, "-m", "penstock"], ".penstock")]
    if (given.dvc / "bin" / "dvc").exists():
        sides.append(Side("dvc", [str((given.dvc / "bin" / "dvc").absolute())], ".dvc/cache"))
    where = given.folder if given.folder.is_dir() else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=where) as work:
        found = measure(given, cells, sides, Path(work))
    medians = {
        side: {name: statistics.median(values) for name, values in figures.items()} for side, figures in found.items()
    }
    print(json.dumps(medians) if given.json else table(medians, given.rounds))


def measure(
    given: argparse.Namespace, cells: list[str], sides: list[Side], work: Path
) -> dict[str, dict[str, list[float]]]:
    """All rounds of all cells: the figures by side and name."""
    found: dict[str, dict[str, list[float]]] = {}

    def note(side: str, figures: Figures) -> None:
        for name, figure in figures.items():
            found.setdefault(side, {}).setdefault(name, []).append(figure)

    makers: dict[str, tuple[Callable[[Path], None], Callable[[Side, Path, Path], Figures]]] = {
        "tree": (lambda path: make_tree(path, given.files, 4096), measure_tree),
        "big": (lambda path: make_big(path, given.mb), measure_big),
        "grow": (lambda path: make_table(path, given.mb // 2), measure_grow),
    }
    for cell, (make, take) in makers.items():
        if cell not in cells:
            continue
        source = work / cell
        make(source)
        for number in range(given.rounds):
            for side in sides:
                with scratch(work, f"{cell}-{side.name}-{number}") as folder:
                    note(side.name, take(side, source, folder))
            if cell != "grow":
                with scratch(work, "limits") as folder:
                    for name, figures in limits(cell, source, folder).items():
                        note(name, figures)
        shutil.rmtree(source) if source.is_dir() else source.unlink()
    if "many" in cells:
        for files in (given.many // 100, given.many // 10, given.many):
            make_tree(work / "many", files, 300, folders=max(10, files // 1_000))
            with scratch(work, "many-penstock") as folder:
                note("penstock", measure_many(sides[0], work / "many", folder))
    return found


@contextlib.contextmanager
def scratch(work: Path, name: str) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    folder = work / name
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def table(medians: dict[str, Figures], rounds: int) -> str:
    """The figures of all sides, for people."""
    columns = ["penstock", "dvc", "times", "cp", "tar x", "walk"]
    lines = [
        f"{os.cpu_count()} cores, median of {rounds} rounds",
        "",
        " " * 50 + "".join(f"{column:>10}" for column in columns),
    ]
    for name, ours in medians["penstock"].items():
        theirs = medians.get("dvc", {}).get(name)
        cells = [f"{ours:,.3f}", f"{theirs:,.3f}" if theirs else "", f"{theirs / ours:,.1f}" if theirs and ours else ""]
        cells += [f"{medians[limit][name]:,.3f}" if name in medians.get(limit, {}) else "" for limit in columns[3:]]
        lines.append(f"{name:<50}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()

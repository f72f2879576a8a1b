"""Text files that would not fit into memory are profiled and checked in little of it."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROWS, REPEATED = 100_000, 12
MOST_MB = 750  # of the memory that is a process's own, libraries and all; the rows alone would take more than 1,100
CHECK = """
import resource, sys, threading, time
from pathlib import Path
from penstock.core.project.types import CheckSection, DataSection
from penstock.datasets.ingest import check_source

def own_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))

peak = 0.0
def watch():
    global peak
    while True:
        peak = max(peak, own_mb())
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()
rule = CheckSection(column="number", between=(0, 1e9))
report = check_source(DataSection(source=sys.argv[1], checks=(rule,)), Path.cwd())
print(report.rows, report.passed, peak)
"""


@pytest.mark.slow
@pytest.mark.every(2)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_check_keeps_no_rows(ending: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"number": range(ROWS), "amount": [number / 7 for number in range(ROWS)], "text": ["x" * 900] * ROWS}
    )
    part = frame.write_csv(include_header=False).encode() if ending == "csv" else frame.write_ndjson().encode()
    with (tmp_path / f"t.{ending}").open("wb") as file:
        file.write(b"number,amount,text\n" if ending == "csv" else b"")
        for _ in range(REPEATED):
            file.write(part)
    command = [sys.executable, "-c", CHECK, f"t.{ending}"]
    told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    assert told[:2] == [str(ROWS * REPEATED), "True"]
    assert float(told[2]) < MOST_MB

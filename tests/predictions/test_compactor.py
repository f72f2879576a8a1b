"""Finished segments become Parquet files in a process of its own, which may die, and never outlives the gateway's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import wait_until
from penstock.core.errors import CorruptDataError, UnavailableError
from penstock.predictions.blocks import pack_rows
from penstock.predictions.compactor import Compactor
from penstock.predictions.log import NoLog
from penstock.predictions.segment_file import compact_segment, decode_rows
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import PredictionRow

BLOCK = pack_rows([PredictionRow(at_us=1, revision=1, key="", inputs="{}", output="{}", latency_us=5)] * 3)
STARTER = """
import sys, time
from pathlib import Path
from penstock.predictions.compactor import Compactor
compactor = Compactor()
compactor.compact(Path(sys.argv[1]))
print(compactor._process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished segment."""
    log = SegmentLog(tmp_path)
    log.append("shop", BLOCK)
    log.close()
    (path,) = log.list_closed()
    return path


@pytest.fixture
def compactor() -> Iterator[Compactor]:
    """Ended after the test."""
    compactor = Compactor()
    yield compactor
    compactor.close()


def test_it_makes_what_this_process_would(finished: Path, compactor: Compactor) -> None:
    segment, path = compact_segment(finished)
    here = decode_rows(path.read_bytes())
    path.unlink()
    assert compactor.compact(finished) == (segment, path)
    assert decode_rows(path.read_bytes()).equals(here)
    assert finished.exists()  # until it is shipped


def test_after_its_death_another_one_goes_on(finished: Path, compactor: Compactor) -> None:
    compactor.compact(finished)
    assert compactor._process is not None
    compactor._process.kill()
    with pytest.raises(UnavailableError, match="-9"):
        compactor.compact(finished)
    assert compactor.compact(finished)[0].rows == 3


def test_what_is_wrong_is_said_and_it_lives_on(finished: Path, compactor: Compactor) -> None:
    whole = finished.read_bytes()
    finished.write_bytes(whole[:-1])
    with pytest.raises(CorruptDataError, match="is damaged at byte"):
        compactor.compact(finished)
    finished.write_bytes(whole)
    obstacle = finished.with_suffix(".partial")
    obstacle.mkdir()
    with pytest.raises(UnavailableError, match="Is a directory"):
        compactor.compact(finished)
    obstacle.rmdir()
    assert compactor.compact(finished)[0].rows == 3


def test_it_ends_with_a_gateway_that_is_killed(finished: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, str(finished)], stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        child = Path("/proc", gateway.stdout.readline().strip())
        assert child.exists()
        os.kill(gateway.pid, signal.SIGKILL)
    wait_until(lambda: not child.exists() or "Z" in (child / "stat").read_text().rsplit(")", 1)[1][:3])


def test_predictions_that_nobody_keeps_have_ids_all_the_same(tmp_path: Path) -> None:
    log = NoLog(tmp_path)
    ids = log.append("shop", BLOCK) + log.append("shop", BLOCK)
    log.rotate()
    log.close()
    assert len(set(ids)) == 6
    assert not any(tmp_path.iterdir()) and log.list_closed() == []

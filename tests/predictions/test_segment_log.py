"""The prediction log on disk: what is written stays, whatever happens to the process or the disk."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import wait_until
from penstock.core import failpoints
from penstock.core.errors import ConflictError, CorruptDataError, StorageFullError
from penstock.predictions.blocks import pack_rows
from penstock.predictions.records import read_records
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.types import PredictionRow

WRITER = """
import sys
from pathlib import Path
from penstock.predictions.segment_log import SegmentLog
from penstock.predictions.blocks import pack_rows
from penstock.predictions.types import PredictionRow
log = SegmentLog(Path(sys.argv[1]), rotate_after_s=0.05, sync_every_s=0.02)
number = 0
while True:
    for name in ("shop", "churn"):
        rows = [PredictionRow(number, 1, "k", "{}", str(number), 5)] * 2
        for prediction in log.append(name, pack_rows(rows)):
            print(prediction, number, flush=True)
    number += 1
"""


def make_row(number: int = 0, revision: int = 1, status: str = "ok", latency_us: int = 900) -> PredictionRow:
    return PredictionRow(number, revision, f"customer-{number}", '{"age":41}', '{"prediction":1}', latency_us, status)


def read_numbers(path: Path) -> list[int]:
    return [int(key.removeprefix("customer-")) for key in read_records(path).frame()["key"]]


@pytest.fixture(autouse=True)
def no_failpoints() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_ids_count_the_rows_of_a_segment(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=3600)
    first = log.append("shop", pack_rows([make_row(0), make_row(1)]))
    second = log.append("shop", pack_rows([make_row(2)]))
    log.close()
    (path,) = log.list_closed()
    content = read_records(path)
    assert content.header.deployment == "shop"
    assert read_numbers(path) == [0, 1, 2]
    assert first + second == [f"{content.header.id}-{number}" for number in range(3)]


def test_deployments_never_share_a_segment(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=3600)
    log.append("shop", pack_rows([make_row()]))
    log.append("churn", pack_rows([make_row()]))
    log.close()
    assert {read_records(path).header.deployment for path in log.list_closed()} == {"shop", "churn"}


def test_a_segment_is_finished_by_its_age(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=0.05, sync_every_s=0.01)
    log.append("shop", pack_rows([make_row()]))
    wait_until(log.list_closed)
    log.close()


def test_a_segment_is_finished_by_its_size(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=3600, rotate_bytes=1000)
    for number in range(30):
        log.append("shop", pack_rows([make_row(number)]))
    assert log.list_closed()
    log.close()
    rows = [number for path in log.list_closed() for number in read_numbers(path)]
    assert sorted(rows) == list(range(30))


def test_a_log_without_predictions_leaves_no_segment(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=0)
    log.rotate()
    log.close()
    assert log.list_closed() == []


def test_a_second_gateway_cannot_write_the_same_folder(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    with pytest.raises(ConflictError, match="another gateway"):
        SegmentLog(tmp_path)
    log.close()
    SegmentLog(tmp_path).close()


def test_every_answered_prediction_survives_kill_9(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    answered = [writer.stdout.readline().split() for _ in range(2000)]
    writer.send_signal(signal.SIGKILL)
    answered += [line.split() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()

    log = SegmentLog(tmp_path)
    kept = {
        f"{content.header.id}-{row['row']}": row["output"]
        for content in map(read_records, log.list_closed())
        for row in content.frame().iter_rows(named=True)
    }
    log.close()
    assert len(answered) >= 2000
    assert all(kept[prediction] == number for prediction, number in answered)
    assert not list(tmp_path.glob("*.open"))


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_only_a_torn_tail_is_dropped(tmp_path: Path, cut: int) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=3600)
    log.append("shop", pack_rows([make_row(0)]))
    log.append("shop", pack_rows([make_row(1)]))
    log.close()
    (path,) = log.list_closed()
    path.write_bytes(path.read_bytes()[:-cut])
    path.rename(path.with_suffix(".open"))

    again = SegmentLog(tmp_path)
    again.close()
    (path,) = again.list_closed()
    assert read_numbers(path) == [0]
    assert not list(tmp_path.glob("*.damaged"))


def test_a_damaged_middle_is_kept_aside(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=3600)
    for number in range(9):
        log.append("shop", pack_rows([make_row(number)]))
    log.close()
    (path,) = log.list_closed()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match="damaged at byte"):
        read_records(path)

    path.rename(path.with_suffix(".open"))
    SegmentLog(tmp_path).close()
    assert path.with_suffix(".damaged").read_bytes() == data
    assert 0 < len(read_numbers(path)) < 9


def test_a_segment_that_was_only_begun_is_removed(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=3600)
    log.append("shop", pack_rows([make_row()]))
    log.close()
    (path,) = log.list_closed()
    path.with_suffix(".open").write_bytes(path.read_bytes()[:20])
    path.unlink()
    SegmentLog(tmp_path).close()
    assert [item.name for item in tmp_path.iterdir()] == ["lock"]


def test_a_full_disk_refuses_the_prediction_and_harms_no_other(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, rotate_after_s=3600)
    log.append("shop", pack_rows([make_row(0)]))
    failpoints.arm("predictions.segment_log.write=enospc")
    with pytest.raises(StorageFullError, match="cannot be written"):
        log.append("shop", pack_rows([make_row(1)]))
    with pytest.raises(StorageFullError):
        log.append("churn", pack_rows([make_row(1)]))
    failpoints.arm("")
    (prediction,) = log.append("shop", pack_rows([make_row(2)]))
    log.close()
    (path,) = log.list_closed()
    assert read_numbers(path) == [0, 2]
    assert prediction.endswith("-1")


def test_a_failing_sync_does_not_end_the_log(tmp_path: Path) -> None:
    failpoints.arm("predictions.segment_log.before_sync=eio@1")
    log = SegmentLog(tmp_path, rotate_after_s=0.05, sync_every_s=0.01)
    log.append("shop", pack_rows([make_row()]))
    wait_until(log.list_closed)
    log.close()

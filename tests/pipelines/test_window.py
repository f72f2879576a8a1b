"""How far back a run reads: the window of the project file, and the moment a replay has come to."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.workshop import PROJECT, Workshop, open_workshop

PIPELINE = '''\
"""Shows what it was given."""

from penstock.pipelines.graph import Candidate, Data
from penstock.pipelines.pipeline import pipeline
from penstock.pipelines.step import step


@step
def show(people):
    print(people["id"].min(), people["id"].max())
    return 1


@pipeline
def train(people: Data, strength: float) -> Candidate:
    return Candidate(show(people), test=people)
'''


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    shop = open_workshop(tmp_path)
    (shop.root / "pipeline.py").write_text(PIPELINE)
    days = "".join(f"{n},2026-01-{n:02},30,1,0\n" for n in range(1, 31))
    (shop.root / "people.csv").write_text("id,day,age,visits,bought\n" + days)
    yield shop
    shop.db.close()


@pytest.mark.parametrize(
    ("window", "until", "seen"),
    [
        ("", None, b"1 30\n"),
        ("[retrain]\nwindow = '10d'\n", None, b"20 30\n"),
        ("[retrain]\nwindow = '10d'\n", datetime(2026, 1, 15, tzinfo=UTC), b"5 14\n"),
        pytest.param("", datetime(2026, 1, 15, tzinfo=UTC), b"1 14\n", marks=pytest.mark.slow),
        pytest.param(
            "[retrain]\nwindow = '10d'\n", datetime(2027, 1, 1, tzinfo=UTC), b"20 30\n", marks=pytest.mark.slow
        ),
    ],
)
def test_a_run_reads_the_rows_of_its_window(shop: Workshop, window: str, until: datetime | None, seen: bytes) -> None:
    (shop.root / "penstock.toml").write_text(PROJECT + window)
    run = shop.pipelines.request_run("tiny", until=until)
    assert shop.worker().work_once()
    log = shop.artifacts.get_artifact(run.id, "steps/show.log")
    assert shop.objects.get_bytes(log.digest) == seen


WEIGHTED = """[retrain]
strategy = "weighted"
window = "10d"
"""


def test_a_weighted_run_reads_all_rows_and_how_much_each_counts(shop: Workshop) -> None:
    (shop.root / "penstock.toml").write_text(PROJECT + WEIGHTED)
    shown = 'print(people["id"].min(), people["sample_weight"].gather([0, 9, 19]).to_list())'
    (shop.root / "pipeline.py").write_text(PIPELINE.replace('print(people["id"].min(), people["id"].max())', shown))
    run = shop.pipelines.request_run("tiny", until=datetime(2026, 1, 21, tzinfo=UTC))
    assert shop.worker().work_once()
    log = shop.artifacts.get_artifact(run.id, "steps/show.log")
    first = 0.5**1.9
    assert shop.objects.get_bytes(log.digest) == f"1 [{first}, 0.5, 1.0]\n".encode()

"""A probe from end to end: the controller asks, a worker runs the project's own pipeline on few rows, and it is so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lending_world import Lender
from penstock.compute.local_process import LocalProcess
from penstock.loop.controller import Controller
from penstock.pipelines.child_spec import StoreAddress
from penstock.pipelines.worker import Worker
from penstock.registry.format.loaded import load_model

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = 200  # a day
DAYS, TURN = 60, 40  # the relation turns round on this day
PROJECT = """
[project]
name = "lend"
task = "binary"
[data.people]
source = "people.parquet"
time = "at"
label = "repaid"
[pipeline]
entry = "pipeline:train"
[[gate]]
kind = "champion"
metric = "roc_auc"
margin = 0.02
[deploy]
strategy = "direct"
[monitor]
window = "1d"
performance = { metric = "roc_auc" }
[retrain]
when = ["performance"]
strategy = "auto"
cooldown = "1d"
"""
PIPELINE = '''
"""Who repays."""

import polars as pl

from penstock import Candidate, Data, pipeline, step

INPUTS = ["income", "debt"]


@step
def split(people: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    ordered = people.sort("at").drop("at")
    middle = ordered.height * 4 // 5
    return ordered[:middle], ordered[middle:]


@step
def fit(train: pl.DataFrame):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(train.select(INPUTS).to_pandas(), train["repaid"])


@pipeline
def train(people: Data) -> Candidate:
    past, recent = split(people)
    return Candidate(fit(past), test=recent)
'''


class Loans(Lender):
    """The lender with a worker that runs its pipeline, and traffic out of one history."""

    def __init__(self, folder: Path, turn: float) -> None:
        root = folder / "project"
        root.mkdir()
        (root / "penstock.toml").write_text(PROJECT)
        (root / "pipeline.py").write_text(PIPELINE)
        rng = np.random.default_rng(3)
        n = DAYS * ROWS
        income, day = rng.normal(size=n), np.arange(n) // ROWS
        logit = 2.0 * income * np.where(day < TURN, 1.0, turn)
        self.history = pl.DataFrame(
            {
                "at": [START + DAY * (number / ROWS) for number in range(n)],
                "income": income,
                "debt": rng.gamma(3.0, 200.0, size=n),
                "repaid": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int),
            }
        )
        self.history.write_parquet(root / "people.parquet")
        super().__init__(folder, PROJECT)
        self.worker = Worker(
            self.services,
            root,
            self.services.objects,
            address=StoreAddress(str(folder / "objects")),
            compute=LocalProcess(),
            scratch=folder / "scratch",
            name="worker",
        )
        self.controller = Controller(self.services, self.project, holder="a")

    def work(self) -> None:
        """Let controller and worker do all there is to do."""
        for _ in range(200):
            if not self.controller.tick() and not self.worker.work_once():
                return
        raise AssertionError("there was something to do for ever")

    def live(self, first: int, last: int) -> None:
        """Days of traffic, answered by what is released, with outcomes a day later."""
        for day in range(first, last):
            rows = self.history[day * ROWS : (day + 1) * ROWS]
            inputs = rows.select("income", "debt")
            stable = self.services.serving.get_deployment("lend").stable
            assert stable is not None
            folder = self.folder / f"served-{stable.version}"
            if not folder.exists():
                self.services.objects.checkout(stable.tree, folder)
            score = load_model(folder).predict(inputs)["score"].to_numpy()
            truth = rows["repaid"].to_numpy()
            self.request(START + day * DAY, inputs, truth, score=score, revision=stable.number)
            self.work()


def open_loans(folder: Path, turn: float) -> Iterator[Loans]:
    loans = Loans(folder, turn)
    yield loans
    loans.worker.place.compute.close()
    loans.db.close()


@pytest.fixture
def turning(tmp_path: Path) -> Iterator[Loans]:
    yield from open_loans(tmp_path, -1.0)


@pytest.fixture
def fading(tmp_path: Path) -> Iterator[Loans]:
    yield from open_loans(tmp_path, 0.0)


def first_release(loans: Loans) -> None:
    """Thirty days of traffic without a model, and then one that has learned from them."""
    loans.request(START + 29 * DAY, loans.history[:1].select("income", "debt"), score=np.array([0.5]))
    loans.services.loop.open_episode("lend", "the first")
    loans.work()
    (episode,) = loans.services.loop.list_episodes("lend")
    assert episode.state == "promoted", episode.summary


@pytest.mark.slow
def test_a_truth_that_turned_is_learned_from_the_rows_since(turning: Loans) -> None:
    first_release(turning)
    turning.live(30, 43)
    newest, *before = turning.services.loop.list_episodes("lend")
    story = turning.services.loop.get_episode(newest.id)
    (trained,) = [decision for decision in story.decisions if decision.action == "train"]
    probed = trained.evidence["probed"]
    gains = {each["name"]: each["gain"] for each in probed["contenders"]}
    assert probed["problem"] == "" and probed["cpu_s"] > 0
    assert gains["change"] > gains["all"] + 0.2, "what was before the change misleads"
    assert trained.evidence["chosen"] == "change"
    assert (newest.state, newest.version) == ("promoted", 2)
    assert [episode.state for episode in before[:-1]] == ["refused"] * (len(before) - 1), "too few rows were known"
    turning.live(43, 46)
    assert turning.services.loop.list_episodes("lend")[0] == newest, "all is well again"


@pytest.mark.slow
def test_a_truth_that_cannot_be_learned_trains_nothing(fading: Loans) -> None:
    first_release(fading)
    fading.live(30, 42)
    episode, *_ = fading.services.loop.list_episodes("lend")
    assert (episode.trigger, episode.state) == ("performance", "refused")
    assert episode.summary.startswith("a retrain would not help: on 100 rows"), episode.summary
    probe, first = fading.services.pipelines.list_runs("lend")
    assert first.probe is None and probe.probed is not None
    assert probe.probed.problems == {} and {"all", "version 1"} <= probe.probed.losses.keys()
    assert {"fit@all", "try@all", "try@version-1"} <= {
        step.name for step in fading.services.pipelines.list_steps(probe.id)
    }

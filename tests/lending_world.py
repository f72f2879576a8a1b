"""A lender for tests: a binary model whose inputs and truth move as told, on every service for real."""

import io
import tempfile
from collections.abc import Sequence
from copy import copy, deepcopy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from factories import copy_folder, open_database
from penstock.core.clock import ManualClock
from penstock.core.codec import encode_text
from penstock.core.ids import PredictionId, SegmentId, new_id
from penstock.core.project.parse import parse_project
from penstock.evaluation.evaluate import Subject, evaluate
from penstock.governance.ledger import Ledger
from penstock.loop.controller import Controller
from penstock.pipelines.types import CandidateRecord
from penstock.predictions.segment_file import describe_segment, encode_rows
from penstock.predictions.types import Outcome, PredictionRow, Segment
from penstock.registry.format.saving import save_model
from penstock.registry.types import CHAMPION, ModelVersion
from penstock.storage.columns import to_microseconds
from shop_world import DAY, START, open_services

PROJECT = """
[project]
name = "lend"
task = "binary"
[pipeline]
entry = "pipeline:train"
[data.people]
source = "people.csv"
sensitive = ["region"]
[deploy]
strategy = "direct"
[monitor]
window = "1d"
false_alarms = "1 per 90d"
performance = { metric = "accuracy" }
[retrain]
when = ["performance", "estimate"]
"""


def truth_of(inputs: pl.DataFrame, rng: np.random.Generator, slope: float = 2.0) -> np.ndarray:
    logit = slope * inputs["income"].to_numpy()
    return (rng.random(inputs.height) < 1 / (1 + np.exp(-logit))).astype(int)


@cache
def _released(kind: type["Lender"]) -> "Lender":
    lender = kind(Path(tempfile.mkdtemp(prefix="released-")))
    lender.release()
    return lender


class Lender:
    """The lender, on a clock that is moved by hand; chance is seeded."""

    numbers: Sequence[str] = ("income", "debt", "noise")

    def __init__(self, folder: Path, project_text: str = PROJECT, seed: int = 1) -> None:
        self.folder = folder
        self.clock = ManualClock(datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
        self.project_text = project_text
        self.project = parse_project(project_text, root=folder)
        self.rng = np.random.default_rng(seed)
        self.open()

    @classmethod
    def open_released(cls, folder: Path, project_text: str = PROJECT) -> Self:
        """A lender whose first model is the champion: a copy of one that was made once."""
        made = _released(cls).copy_to(folder, project_text)
        assert isinstance(made, cls)
        return made

    def open(self) -> None:
        """Open all that is in the folder, as a process does that has just begun."""
        self.db = open_database(self.folder, self.clock)
        Ledger(self.db, None)
        self.services = open_services(self.db, self.folder / "objects")

    def copy_to(self, folder: Path, project_text: str | None = None) -> Self:
        """The same lender once more, on its own from now on; this one is closed, and there to be copied again.

        Args:
            folder: where the copy lives.
            project_text: what it goes by; nothing that was done so far may depend on where it differs.
        """
        self.db.close()
        copy_folder(self.folder, folder)
        twin = copy(self)
        twin.folder, twin.clock, twin.rng = folder, deepcopy(self.clock), deepcopy(self.rng)
        twin.project_text = self.project_text if project_text is None else project_text
        twin.project = parse_project(twin.project_text, root=folder)
        twin.open()
        return twin

    def people(self, n: int, **moved: Any) -> pl.DataFrame:
        """Inputs as they were in training; `moved` replaces a column, or is a function of it."""
        rng = self.rng
        frame = pl.DataFrame(
            {
                "income": rng.normal(size=n),
                "debt": rng.gamma(3.0, 200.0, size=n),
                "noise": rng.normal(size=n),
                "region": rng.choice(["north", "south", "west"], size=n, p=[0.5, 0.4, 0.1]),
            }
        )
        for name, change in moved.items():
            frame = frame.with_columns(pl.Series(name, change(frame[name].to_numpy())))
        return frame

    def labelled(self, n: int) -> pl.DataFrame:
        """Rows from before the model answered, with their truth as `repaid`."""
        rows = self.people(n)
        return rows.with_columns(repaid=pl.Series(truth_of(rows, self.rng)))

    def release(self, test_rows: int = 1500) -> ModelVersion:
        """Register a model that has learned the truth, let it serve and make it the champion."""
        version = self.register(test_rows)
        self.services.serving.deploy("lend", "lend", version.version)
        self.services.registry.move_alias("lend", CHAMPION, version.version, "first release")
        return version

    def register(self, test_rows: int = 1500) -> ModelVersion:
        """Register a model that has learned the truth."""
        services = self.services
        run = services.pipelines.request_run("lend")
        services.pipelines.claim_run("lend", "worker", 30)
        claimed = services.pipelines.get_run(run.id)
        services.pipelines.finish_run(run.id, claimed.fence, self.candidate(run.id, test_rows))
        record = services.pipelines.get_run(run.id).candidate
        assert record is not None
        return services.registry.register("lend", run.id, record.model, record.info, record.reference, record.report_id)

    def request(
        self,
        at: datetime,
        inputs: pl.DataFrame,
        truth: np.ndarray | None = None,
        *,
        latency_us: int = 2000,
        errors: int = 0,
        score: np.ndarray | None = None,
        revision: int = 1,
    ) -> list[PredictionId]:
        """Requests within a day from `at` on, and their outcomes, if any are given."""
        n = inputs.height
        scores = self.score(inputs) if score is None else score
        rows = []
        for number, (row, value) in enumerate(zip(inputs.to_dicts(), scores, strict=True)):
            failed = number < errors
            output = {
                "prediction": int(value >= 0.5),
                "score": float(value),
                "probabilities": [1 - float(value), float(value)],
            }
            rows.append(
                PredictionRow(
                    to_microseconds(at + DAY * (number / n)),
                    revision,
                    "",
                    encode_text(row),
                    '{"error": "down"}' if failed else encode_text(output),
                    latency_us,
                    "error" if failed else "ok",
                )
            )
        self.clock.advance(seconds=1)
        segment = describe_segment(SegmentId(new_id()), "lend", rows)
        digest = self.services.objects.put_bytes(encode_rows(rows))
        held = {name: getattr(segment, name) for name in segment.__struct_fields__}
        kept = self.services.predictions.add_segment(Segment(**{**held, "digest": digest}))
        ids = [PredictionId(f"{kept.id}-{number}") for number in range(n)]
        if truth is not None:
            self.answer(ids, truth, at + DAY)
        return ids

    def live(self, days: int, *, first: int = 0, rows: int = 300, slope: float = 2.0, **moved: Any) -> None:
        """Days of traffic with their outcomes."""
        for day in range(first, first + days):
            inputs = self.people(rows, **moved)
            self.request(START + day * DAY, inputs, truth_of(inputs, self.rng, slope))

    def settle(self) -> None:
        """Let a controller do all there is to do."""
        controller = Controller(self.services, self.project, holder="a")
        for _ in range(50):
            if not controller.tick():
                return
        raise AssertionError("the controller found something to do for ever")

    def answer(self, ids: list[PredictionId], truth: np.ndarray, at: datetime) -> None:
        told = [Outcome(prediction_id=name, value=int(y), at=at) for name, y in zip(ids, truth, strict=True)]
        self.services.predictions.add_outcomes(told)

    def score(self, inputs: pl.DataFrame) -> np.ndarray:
        """What the model says: the truth of training, and none of its noise."""
        return np.asarray(1 / (1 + np.exp(-2.0 * inputs["income"].to_numpy())))

    def candidate(self, run_id: Any, test_rows: int = 1500) -> CandidateRecord:
        """What a worker's run would end with: a model that has learned the truth of training."""
        services = self.services
        test = self.labelled(test_rows)
        numbers = test.select(self.numbers)
        model = LogisticRegression(max_iter=5000).fit(numbers.to_pandas(), test["repaid"].to_numpy())
        folder = self.folder / f"model-{new_id()}"
        info = save_model(model, folder, task="binary", sample=numbers, label="repaid")
        tree, score = services.objects.put_tree(folder), self.score(test)
        made = evaluate(
            pl.DataFrame({"prediction": (score >= 0.5).astype(int), "score": score}),
            test,
            label="repaid",
            task="binary",
            primary="accuracy",
            metrics=["accuracy"],
            subject=Subject(model=tree, run_id=run_id),
            keep=services.objects.put_bytes,
        )
        services.evaluation.record_report(made.report)
        buffer = io.BytesIO()
        test.write_parquet(buffer)
        kept = services.objects.put_bytes(buffer.getvalue())
        return CandidateRecord(
            model=tree, info=info, test=kept, reference=kept, label="repaid", report_id=made.report.id
        )

"""A small shop for tests: every service over SQLite, models that are saved for real, traffic and feedback at will."""

import io
import tempfile
from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factories import copy_folder, open_database
from penstock.core.clock import ManualClock
from penstock.core.ids import Digest, PredictionId, ReportId, RunId, SegmentId, new_id
from penstock.core.project.parse import parse_project
from penstock.core.project.types import Project
from penstock.datasets.service import DatasetService
from penstock.evaluation.evaluate import Evaluation, Subject, evaluate
from penstock.evaluation.service import EvaluationService
from penstock.governance.ledger import Ledger
from penstock.governance.service import GovernanceService
from penstock.loop.controller import Controller
from penstock.loop.service import LoopService
from penstock.monitoring.incidents.service import IncidentService
from penstock.monitoring.service import MonitoringService
from penstock.pipelines.service import PipelineService
from penstock.pipelines.types import CandidateRecord, PipelineRun
from penstock.predictions.segment_file import describe_segment, encode_rows
from penstock.predictions.service import PredictionService
from penstock.predictions.types import Outcome, PredictionRow, Segment
from penstock.registry.format.ranking import RankingModel
from penstock.registry.format.saving import save_model
from penstock.registry.format.types import ModelInfo
from penstock.registry.service import RegistryService
from penstock.registry.trust.service import TrustService
from penstock.registry.types import CHAMPION, ModelVersion
from penstock.serving.service import ServingService
from penstock.storage.columns import to_microseconds
from penstock.storage.database import Database
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.service import TrackingService

START = datetime(2011, 3, 7, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
ITEMS = [f"i{number}" for number in range(12)]
EVEN = [1.0] * len(ITEMS)
PROJECT = """
[project]
name = "shop"
task = "ranking"
[pipeline]
entry = "pipeline:train"
[[gate]]
kind = "champion"
metric = "recall_at_3"
margin = 0.02
[deploy]
strategy = "canary"
steps = [0.5, 1.0]
min_requests = 50
key = "user"
[monitor]
window = "1d"
false_alarms = "1 per 90d"
performance = { metric = "precision_at_3" }
[retrain]
when = ["drift", "performance", "new_data"]
cooldown = "2d"
budget = "3 per 30d"
"""


@dataclass(frozen=True, kw_only=True)
class ShopServices:
    """The services under the names the controller knows them by."""

    tracking: TrackingService
    artifacts: ArtifactService
    datasets: DatasetService
    registry: RegistryService
    trust: TrustService
    predictions: PredictionService
    evaluation: EvaluationService
    pipelines: PipelineService
    serving: ServingService
    monitoring: MonitoringService
    incidents: IncidentService
    loop: LoopService
    objects: ObjectStore


@cache
def _released() -> "Shop":
    shop = Shop(Path(tempfile.mkdtemp(prefix="released-")))
    shop.release()
    return shop


class Shop:
    """The shop, on a clock that is moved by hand; chance is seeded."""

    def __init__(self, folder: Path, project_text: str = PROJECT, clock: ManualClock | None = None) -> None:
        self.folder = folder
        self.clock = clock or ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.project_text = project_text
        self.rng = np.random.default_rng(1)
        self.trained_on: Sequence[float] = EVEN
        self._models: dict[str, float] = {}  # directory -> quality
        self._open()

    @staticmethod
    def open_released(folder: Path, project_text: str = PROJECT) -> "Shop":
        """A shop whose first model is the champion: a copy of one that was made once."""
        return _released().copy_to(folder, project_text)

    def _open(self) -> None:
        self.db = open_database(self.folder, self.clock)
        Ledger(self.db, None)
        self.project: Project = parse_project(self.project_text, root=self.folder)
        self.services = open_services(self.db, self.folder / "objects")
        self.controller = Controller(self.services, self.project, holder="a")

    def copy_to(self, folder: Path, project_text: str | None = None) -> "Shop":
        """The same shop once more, on its own from now on; this one is closed, and there to be copied again.

        Args:
            folder: where the copy lives.
            project_text: what it goes by; nothing that was done so far may depend on where it differs.
        """
        self.db.close()
        copy_folder(self.folder, folder)
        twin = copy(self)
        twin.folder, twin.clock, twin.rng = folder, deepcopy(self.clock), deepcopy(self.rng)
        twin.project_text = self.project_text if project_text is None else project_text
        twin._models = dict(self._models)
        twin._open()
        return twin

    def settle(self) -> None:
        """Let the controller do all there is to do."""
        for _ in range(50):
            if not self.controller.tick():
                return
        raise AssertionError("the controller found something to do for ever")

    def request(
        self,
        at: datetime,
        n: int,
        revision: int = 1,
        *,
        weights: Sequence[float] = EVEN,
        clicks: float | None = 0.3,
        errors: int = 0,
        propensity: float = 1.0,
    ) -> list[PredictionId]:
        """Requests within a day from `at` on; `clicks` is the chance that a list is clicked, None: nobody says."""
        share = np.array(weights) / sum(weights)
        rows = []
        for number in range(n):
            user, item = f"u{self.rng.integers(100_000)}", str(self.rng.choice(ITEMS, p=share))
            failed = number < errors
            rows.append(
                PredictionRow(
                    to_microseconds(at + DAY * (number / n)),
                    revision,
                    user,
                    f'{{"user": "{user}", "recent": "{item} i{number % 5} i1"}}',
                    '{"error": "down"}' if failed else '{"items": ["i0", "i1", "i2"], "scores": [3.0, 2.0, 1.0]}',
                    2000,
                    "error" if failed else "ok",
                    propensity,
                )
            )
        segment = self._ship(rows)
        ids = [PredictionId(f"{segment.id}-{number}") for number in range(n)]
        if clicks is not None:
            self.answer(ids, clicks, at + DAY)
        return ids

    def copy(
        self, ids: Sequence[PredictionId], revision: int = 2, *, items: str = '["i0", "i1", "i2"]', errors: int = 0
    ) -> None:
        """What a revision in the shadow would have said to these requests."""
        output = f'{{"items": {items}, "scores": [3.0, 2.0, 1.0]}}'
        rows = [
            PredictionRow(
                to_microseconds(START),
                revision,
                f"c{number}-{name}",
                "{}",
                '{"error": "down"}' if number < errors else output,
                2000,
                "shadow_error" if number < errors else "shadow",
                answered=name,
            )
            for number, name in enumerate(ids)
        ]
        self._ship(rows)

    def request_at(self, times: Sequence[datetime], deployment: str = "shop") -> list[PredictionId]:
        """Requests at these very moments, in one segment; nobody says what became of them."""
        text, answer = '{"user": "u1", "recent": "i0"}', '{"items": ["i0"], "scores": [1.0]}'
        rows = [PredictionRow(to_microseconds(at), 1, "u1", text, answer, 2000) for at in times]
        segment = self._ship(rows, deployment)
        return [PredictionId(f"{segment.id}-{number}") for number in range(len(rows))]

    def answer(self, ids: Sequence[PredictionId], clicks: float, at: datetime) -> None:
        """Say of each prediction whether its list was clicked."""
        liked = [["i0"] if self.rng.random() < clicks else [] for _ in ids]
        outcomes = [Outcome(prediction_id=name, value=value, at=at) for name, value in zip(ids, liked, strict=True)]
        self.services.predictions.add_outcomes(outcomes)

    def finish_run(
        self, run: PipelineRun, *, quality: float = 0.9, compare: bool = True, again: ModelVersion | None = None
    ) -> None:
        """What a worker does with a run: train, measure, offer. `quality` is the share of right first suggestions.

        `again` is the version whose very model comes out once more.
        """
        services = self.services
        self.clock.advance(seconds=1)
        claimed = services.pipelines.claim_run("shop", "worker", 30)
        assert claimed is not None and claimed.id == run.id
        services.pipelines.finish_run(run.id, claimed.fence, self.make_candidate(run.id, quality, compare, again))

    def fail_run(self, run: PipelineRun, error: str) -> None:
        claimed = self.services.pipelines.claim_run("shop", "worker", 30)
        assert claimed is not None and claimed.id == run.id
        self.services.pipelines.fail_run(run.id, claimed.fence, error)

    def make_candidate(
        self, run_id: RunId, quality: float, compare: bool = True, again: ModelVersion | None = None
    ) -> CandidateRecord:
        """A model and its report; the champion is measured on the same rows."""
        services, test = self.services, self._test_rows()
        tree, info = (again.tree, self._info(again)) if again else self._save_model(quality)
        champion = self.champion()
        evaluation = self._evaluate(test, quality, tree, run_id)
        held = None
        if champion is not None and compare:
            held = self._evaluate(test, self._models[champion.tree], champion.tree, run_id)
        return CandidateRecord(
            model=tree,
            info=info,
            test=services.objects.put_bytes(_parquet(test)),
            reference=self.reference(),
            label="relevant",
            report_id=evaluation.report.id,
            champion=f"shop/{champion.version}" if champion else "",
            champion_report_id=held.report.id if held else None,
        )

    def release(self, quality: float = 0.5) -> ModelVersion:
        """Register a model, let it serve at once and make it the champion: what a first episode does."""
        run = self.services.pipelines.request_run("shop")
        self.finish_run(run, quality=quality)
        record = self.services.pipelines.get_run(run.id).candidate
        assert record is not None
        version = self.services.registry.register(
            "shop", run.id, record.model, record.info, record.reference, record.report_id
        )
        self.services.serving.deploy("shop", "shop", version.version, key="user")
        self.services.registry.move_alias("shop", CHAMPION, version.version, "first release")
        return version

    def champion(self) -> ModelVersion | None:
        alias = self.services.registry.find_alias("shop", CHAMPION)
        return None if alias is None else self.services.registry.get_version("shop", alias.version)

    def reference(self) -> Digest:
        """Rows of customers as they were when the model was trained; their newest item goes by `trained_on`."""
        rng = np.random.default_rng(99)
        newest = rng.choice(ITEMS, 2000, p=np.array(self.trained_on) / sum(self.trained_on))
        rows = {
            "user": [f"r{n}" for n in range(2000)],
            "recent": [f"{item} i{n % 5} i1" for n, item in enumerate(newest)],
        }
        return self.services.objects.put_bytes(_parquet(pl.DataFrame(rows)))

    def _ship(self, rows: list[PredictionRow], deployment: str = "shop") -> Segment:
        self.clock.advance(seconds=1)
        segment = describe_segment(SegmentId(new_id()), deployment, rows)
        digest = self.services.objects.put_bytes(encode_rows(rows))
        shipped = Segment(**{**{name: getattr(segment, name) for name in segment.__struct_fields__}, "digest": digest})
        return self.services.predictions.add_segment(shipped)

    def _test_rows(self) -> pl.DataFrame:
        rng = np.random.default_rng(5)
        relevant = [[str(rng.choice(ITEMS[6:]))] for _ in range(300)]
        return pl.DataFrame({"user": [f"t{n}" for n in range(300)], "recent": ["i0 i1"] * 300, "relevant": relevant})

    def _evaluate(self, test: pl.DataFrame, quality: float, tree: Digest, run_id: RunId) -> Evaluation:
        rng = np.random.default_rng(int(quality * 1000))
        hits = rng.random(test.height) < quality
        items = [[*row, "i0"] if hit else ["i0", "i1"] for row, hit in zip(test["relevant"], hits, strict=True)]
        predictions = pl.DataFrame({"items": items, "scores": [[2.0, 1.0]] * test.height})
        made = evaluate(
            predictions,
            test,
            label="relevant",
            task="ranking",
            metrics=["recall_at_3"],
            primary="recall_at_3",
            subject=Subject(model=tree, run_id=run_id),
            keep=self.services.objects.put_bytes,
        )
        self.services.evaluation.record_report(made.report)
        return made

    def _info(self, version: ModelVersion) -> ModelInfo:
        record = None if version.run_id is None else self.services.pipelines.get_run(version.run_id).candidate
        assert record is not None
        return record.info

    def _save_model(self, quality: float) -> tuple[Digest, ModelInfo]:
        folder = self.folder / f"model-{quality}-{new_id()}"
        model = RankingModel(ITEMS, prior=np.arange(12) + quality)
        sample = pl.DataFrame({"user": ["u1", "u2"], "recent": ["i0 i1", ""]})
        info = save_model(model, folder, task="ranking", sample=sample)
        tree = self.services.objects.put_tree(folder)
        self._models[tree] = quality
        return tree, info


def open_services(db: Database, objects: Path) -> ShopServices:
    """All services on one database."""
    governance, tracking, registry = GovernanceService(db), TrackingService(db), RegistryService(db)
    predictions, monitoring = PredictionService(db), MonitoringService(db)
    pipelines, serving = PipelineService(db, tracking), ServingService(db, registry)
    store = open_object_store(str(objects))
    return ShopServices(
        tracking=tracking,
        artifacts=ArtifactService(db),
        datasets=DatasetService(db),
        registry=registry,
        trust=TrustService(db, registry, store),
        predictions=predictions,
        evaluation=EvaluationService(db),
        pipelines=pipelines,
        serving=serving,
        monitoring=monitoring,
        incidents=IncidentService(db, monitoring, predictions),
        loop=LoopService(
            db,
            governance=governance,
            predictions=predictions,
            pipelines=pipelines,
            serving=serving,
            monitoring=monitoring,
        ),
        objects=store,
    )


def report_of(shop: Shop, report_id: ReportId) -> Any:
    return shop.services.evaluation.get_report(report_id)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()

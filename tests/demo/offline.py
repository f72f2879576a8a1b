"""The project's own pipeline behind the demo's port, without processes: trains when the watched inputs have moved."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import polars as pl

from penstock.demo.port import Ask, EpisodeLine, Reply, Tell
from penstock.monitoring.drift import compare_inputs
from penstock.monitoring.sketches import sketch_frame
from penstock.predictions.types import Outcome
from penstock.registry.format.ranking import RankingModel

WATCHED = ["aisle", "intake"]


def load_project(folder: Path) -> ModuleType:
    """The pipeline module of a project folder."""
    sys.path.insert(0, str(folder))
    try:
        sys.modules.pop("learners", None)
        spec = importlib.util.spec_from_file_location("shop_pipeline", folder / "pipeline.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


class OfflinePenstock:
    """Releases a new model two weeks after drift was seen, as a canary would."""

    page_url = "offline"

    def __init__(self, root: Path, *, level: float = 0.01, cooldown: int = 3) -> None:
        self.pipeline = load_project(root)
        self.outcomes: dict[str, Outcome] = {}
        self.asked: list[Ask] = []
        self.episodes: list[EpisodeLine] = []
        self._root = root
        self._level = level
        self._cooldown = cooldown
        self._models: list[RankingModel] = []
        self._week: list[Ask] = []
        self._due: tuple[int, RankingModel, pl.DataFrame] | None = None
        self._weeks = 0
        self._reference = pl.DataFrame()
        self._drifted = False
        self._last = -99

    def release_first(self, tell: Tell) -> None:
        if not self._models:
            model, self._reference = self._train()
            self._models.append(model)

    def load_first(self) -> RankingModel:
        return self._models[0]

    def predict(self, asked: Sequence[Ask]) -> list[Reply]:
        self.asked += asked
        self._week += asked
        replies = []
        for number, ask in enumerate(asked, start=len(self.asked) - len(asked)):
            items, _ = self._models[-1].suggest(ask.inputs["recent"].split())
            replies.append(Reply(f"p-{number}", [item for item in items if item not in ask.exclude][:20]))
        return replies

    def add_outcomes(self, outcomes: list[Outcome]) -> None:
        self.outcomes |= {outcome.prediction_id: outcome for outcome in outcomes}

    def wait_settled(self, tell: Tell) -> str:
        self._weeks += 1
        if self._due is not None and self._due[0] <= self._weeks:
            _, model, self._reference = self._due
            self._models.append(model)
            self._due, self._last, self._drifted = None, self._weeks, False
        if self._drifted and self._due is None and self._weeks - self._last >= self._cooldown:
            model, reference = self._train()
            self._due, self._drifted = (self._weeks + 1, model, reference), False
            self._note()
        self._drifted |= self._due is None and bool(self._week) and self._has_moved()
        self._week = []
        return "traffic"

    def list_episodes(self) -> list[EpisodeLine]:
        return self.episodes

    def _note(self) -> None:
        at = self._week[-1].at
        number = len(self.episodes) + 1
        self.episodes.append(EpisodeLine(number=number, trigger="drift", state="promoted", at=at, reason="drift"))

    def _has_moved(self) -> bool:
        frame = pl.DataFrame([ask.inputs for ask in self._week])
        samples = [sketch_frame(rows, rows["user"].to_list()) for rows in (self._reference, frame)]
        return any(column.drifted for column in compare_inputs(samples[0], samples[1], WATCHED, level=self._level))

    def _train(self) -> tuple[RankingModel, pl.DataFrame]:
        events = pl.read_parquet(self._root / "data" / "events" / "*.parquet")
        catalogue = pl.read_parquet(self._root / "data" / "catalogue.parquet")
        candidate = self.pipeline.train.run(events=events, catalogue=catalogue)
        return candidate.model, candidate.reference

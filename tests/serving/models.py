"""Real, small models for the serving tests, and a database with everything they need."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from factories import open_database
from penstock.core.clock import Clock
from penstock.core.ids import Digest, new_id
from penstock.core.project.types import Task
from penstock.predictions.service import PredictionService
from penstock.registry.format.ranking import RankingModel
from penstock.registry.format.saving import save_model
from penstock.registry.format.types import ModelInfo
from penstock.registry.service import RegistryService
from penstock.registry.types import ModelVersion
from penstock.serving.port import ServicesPort
from penstock.serving.service import ServingService
from penstock.storage.objects.open import open_object_store

ITEMS = [f"item{number}" for number in range(40)]
ITEM_TABLE = pl.DataFrame(  # games and books in turn, each dearer than the one before
    {
        "item": ITEMS,
        "category": ["books" if number % 2 else "games" for number in range(len(ITEMS))],
        "price": list(range(len(ITEMS))),
    }
)


@cache
def make_ranking(reverse: bool = False, *, knows_items: bool = False) -> RankingModel:
    """Suggests by popularity, and items seen before first; the other way round when reversed."""
    prior = np.linspace(0.5, 0.1, len(ITEMS))
    table = ITEM_TABLE if knows_items else None
    return RankingModel(ITEMS, prior=prior[::-1] if reverse else prior, repeat=1.0, attributes=table)


@cache
def make_logistic(seed: int = 0) -> object:
    """Says yes to whoever is older than about forty."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(18, 80, 400)
    frame = pl.DataFrame({"age": age, "visits": rng.integers(0, 9, 400)})
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, (age > 40).astype(int))


RANKING_SAMPLE = pl.DataFrame({"user": ["u1", "u2", "u3"], "recent": ["item3 item5", "", "item1"]})
LOGISTIC_SAMPLE = pl.DataFrame({"age": [20.5, 45.0, 70.0], "visits": [1, 2, 3]})


class Backend:
    """The services a gateway works with, over a real database and object store."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self.db = open_database(folder, clock)
        self.objects = open_object_store(folder / "objects")
        self.registry = RegistryService(self.db)
        self.predictions = PredictionService(self.db)
        self.serving = ServingService(self.db, self.registry)
        self.port = ServicesPort(self.serving, self.predictions, self.objects)

    def register(self, model: object, name: str, task: Task) -> ModelVersion:
        """Save and register a model."""
        target = self.folder / "made" / new_id()
        info = write_model(model, target, task)
        return self.registry.register(name, None, self.objects.put_tree(target), info)

    def register_broken(self, name: str = "shop") -> ModelVersion:
        """Register a version whose directory cannot be loaded."""
        held = self.registry.list_versions(name)[0]
        target = self.folder / "made" / new_id()
        self.objects.checkout(held.tree, target)
        for path in target.glob("*.npz"):
            path.write_bytes(b"no arrays")
        (target / "made").write_text(new_id())
        info = write_model(make_ranking(), self.folder / "made" / new_id(), "ranking")
        return self.registry.register(name, None, self.objects.put_tree(target), info)

    def close(self) -> None:
        """Close the database."""
        self.db.close()


def write_model(model: object, folder: Path, task: Task) -> ModelInfo:
    """The directory of a model; one that was saved before is copied."""
    files, info = _save(model, task)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return info


@cache
def _save(model: object, task: Task) -> tuple[dict[Path, bytes], ModelInfo]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        info = save_model(model, target, task=task, sample=RANKING_SAMPLE if task == "ranking" else LOGISTIC_SAMPLE)
        files = [path for path in target.rglob("*") if path.is_file()]
        return {path.relative_to(target): path.read_bytes() for path in files}, info


def tree_of(text: str) -> Digest:
    """A digest that no object has."""
    return Digest(text * 64)

"""A tiny project with its services and a worker, for tests of whole runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factories import open_database
from penstock.compute.local_process import LocalProcess
from penstock.core.clock import Clock
from penstock.core.events import Entry
from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.pipelines.child_spec import StoreAddress
from penstock.pipelines.service import PipelineService
from penstock.pipelines.types import StepRun
from penstock.pipelines.worker import Worker
from penstock.registry.service import RegistryService
from penstock.registry.trust.service import TrustService
from penstock.storage.database import Database
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.service import TrackingService

PROJECT = """\
[project]
name = "tiny"
task = "binary"

[data.people]
source = "people.csv"
time = "day"
key = "id"
label = "bought"

[[data.people.check]]
column = "age"
between = [0, 120]

[pipeline]
entry = "pipeline:train"
params = { strength = 1.0 }

[[gate]]
kind = "metric"
metric = "roc_auc"
at_least = 0.6
"""

PIPELINE = '''\
"""Who buys."""

import polars as pl

from penstock.pipelines.graph import Candidate, Data
from penstock.pipelines.pipeline import pipeline
from penstock.pipelines.step import step


@step
def split(people: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    print("splitting", people.height, "rows")
    middle = people.height * 2 // 3
    return people[:middle], people[middle:]


@step
def fit(train: pl.DataFrame, *, strength: float):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength).fit(train.select("age", "visits"), train["bought"])


@pipeline
def train(people: Data, strength: float = 2.0) -> Candidate:
    past, recent = split(people)
    return Candidate(fit(past, strength=strength), test=recent, reference=past)
'''

LIGHT_PIPELINE = '''\
"""Counts, without any heavy library."""

import os
import pathlib
import signal
import sys
import time

from penstock.pipelines.graph import Candidate
from penstock.pipelines.pipeline import pipeline
from penstock.pipelines.step import step

MARKS = pathlib.Path(__file__).parent / "marks"


def mark(name):
    with open(MARKS, "a") as file:
        file.write(name + "\\n")


@step
def first():
    mark("first")
    return [1, 2]


@step(retries=RETRIES)
def second(numbers):
    mark("second")
BODY
    return sum(numbers)


@pipeline
def train(strength=1.0):
    total = second(first())
    return Candidate(total, test=total, label="y")
'''


def people(rows: int = 300) -> str:
    lines = ["id,day,age,visits,bought"]
    for n in range(rows):
        age, visits = 20 + n * 7 % 50, n * 13 % 11
        bought = int(age / 50 + visits / 5 + (n * 29 % 17) / 17 > 2.0)
        lines.append(f"{n},2026-{1 + n // 28 % 12:02}-{1 + n % 28:02},{age},{visits},{bought}")
    return "\n".join(lines) + "\n"


@dataclass
class Workshop:
    """The services and folders of one tiny project; is a port of the worker."""

    folder: Path
    db: Database
    entries: list[Entry]
    objects: ObjectStore
    tracking: TrackingService
    artifacts: ArtifactService
    pipelines: PipelineService
    datasets: DatasetService
    registry: RegistryService
    trust: TrustService
    evaluation: EvaluationService

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.folder / "project"

    def worker(self, name: str = "worker", **more: Any) -> Worker:
        """A worker of the project; a second one of the same name takes over from the first."""
        return Worker(
            more.pop("port", self),
            self.root,
            self.objects,
            address=StoreAddress(str(self.folder / "objects")),
            compute=LocalProcess(),
            scratch=self.folder / "scratch",
            name=name,
            **more,
        )

    def steps(self, run_id: str) -> dict[str, StepRun]:
        """The steps of a run by name."""
        return {step.name: step for step in self.pipelines.list_steps(run_id)}  # type: ignore[arg-type]

    def marks(self) -> list[str]:
        """Which steps of the light pipeline really ran, in order."""
        file = self.root / "marks"
        return file.read_text().split() if file.exists() else []


def open_workshop(folder: Path, clock: Clock | None = None, url: str | None = None) -> Workshop:
    """The tiny project in a folder, or the one that is there, opened again; `url` is for another process."""
    root = folder / "project"
    if not root.exists():
        root.mkdir()
        (root / "penstock.toml").write_text(PROJECT)
        (root / "pipeline.py").write_text(PIPELINE)
        (root / "people.csv").write_text(people())
    db = open_database(folder, clock, url)
    entries: list[Entry] = []
    db.on_group(lambda connection, now, transactions: _note(entries, transactions))
    tracking, registry, objects = TrackingService(db), RegistryService(db), open_object_store(folder / "objects")
    return Workshop(
        folder=folder,
        db=db,
        entries=entries,
        objects=objects,
        tracking=tracking,
        artifacts=ArtifactService(db),
        pipelines=PipelineService(db, tracking),
        datasets=DatasetService(db),
        registry=registry,
        trust=TrustService(db, registry, objects),
        evaluation=EvaluationService(db),
    )


def write_light(workshop: Workshop, body: str = "", retries: int = 0) -> None:
    """Replace the pipeline with one of two plain steps, the second of which does `body` first."""
    text = LIGHT_PIPELINE.replace("RETRIES", str(retries))
    indented = "\n".join(f"    {line}" for line in body.split("\n")) if body else "    pass"
    (workshop.root / "pipeline.py").write_text(text.replace("BODY", indented))


def _note(entries: list[Entry], transactions: Any) -> None:
    for transaction in transactions:
        entries.extend(transaction.entries)

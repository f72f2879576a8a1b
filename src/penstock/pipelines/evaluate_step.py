"""The last step of every run: the candidate becomes a model directory, and is measured beside the present champion."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import InvalidInputError, PenstockError
from penstock.core.ids import Digest
from penstock.core.project.types import Gate, Task
from penstock.evaluation.evaluate import Subject, evaluate
from penstock.evaluation.measuring import Precision
from penstock.evaluation.types import Report
from penstock.pipelines.values.frames import to_parquet
from penstock.registry.format.loaded import load_model
from penstock.registry.format.saving import save_model
from penstock.registry.format.types import ModelInfo
from penstock.registry.loading import AnyModel, close_model, open_folder
from penstock.registry.runner.process import RunnerSettings
from penstock.registry.trust.types import Standing
from penstock.storage.objects.object_store import ObjectStore


class ExamSettings(Struct, frozen=True, kw_only=True):
    """How a candidate is examined; it comes from the project file."""

    task: Task
    label: str
    metrics: tuple[str, ...] = ()
    primary: str | None = None
    gates: tuple[Gate, ...] = ()
    slices: tuple[str, ...] = ()  # columns; those the test rows lack are passed over
    not_inputs: tuple[str, ...] = ()  # columns that a model without names of its own is not given
    cluster: str | None = None
    seed: int = 0


class ExaminedCandidate(Struct, frozen=True, kw_only=True):
    """A candidate as a model directory, with its report and the champion's on the same rows."""

    model: Digest
    info: ModelInfo
    test: Digest
    reference: Digest
    report: Report
    champion_report: Report | None = None
    champion_error: str = ""  # why the champion could not be measured


def evaluate_candidate(
    objects: ObjectStore,
    model: Any,
    test: pl.DataFrame,
    reference: pl.DataFrame | None,
    settings: Any,
    champion: str,
    champion_standing: Any = None,
) -> ExaminedCandidate:
    """Save the candidate and measure it.

    Args:
        objects: the object store.
        model: what the pipeline trained.
        test: rows with the label.
        reference: rows that live input will be compared with; None for the test rows.
        settings: `ExamSettings` as plain values.
        champion: the tree of the present champion's directory; empty for none.
        champion_standing: the `Standing` of that, as plain values: its code runs only where somebody vouches for it.
    """
    exam = _Exam(objects, codec.convert(settings, ExamSettings), model, test, reference)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        candidate = Path(folder) / "candidate"
        info = save_model(
            model, candidate, task=exam.settings.task, sample=exam.sample(model), label=exam.settings.label
        )
        tree = objects.put_tree(candidate)
        report = exam.measure(load_model(candidate, may_execute=True), tree)  # the code is the project's own
        champion_report, champion_error = exam.measure_champion(Digest(champion), champion_standing, Path(folder))
    return ExaminedCandidate(
        model=tree,
        info=info,
        test=exam.data,
        reference=exam.data if reference is None else objects.put_bytes(to_parquet(reference)),
        report=report,
        champion_report=champion_report,
        champion_error=champion_error,
    )


class _Exam:
    """The same rows and settings for every model."""

    def __init__(
        self,
        objects: ObjectStore,
        settings: ExamSettings,
        model: Any,
        test: pl.DataFrame,
        reference: pl.DataFrame | None,
    ) -> None:
        _check_frames(test, reference, settings.label)
        self.settings = settings
        self.data = objects.put_bytes(to_parquet(test))
        self._objects = objects
        self._test = test
        self._reference = reference
        self._catalogue = len(getattr(model, "items", ())) if settings.task == "ranking" else 0

    def sample(self, model: Any) -> pl.DataFrame:
        """The rows as they will come; a model that knows the names of its inputs picks them itself."""
        names = getattr(model, "feature_names_in_", None)  # which LightGBM makes up where it was given none
        if self.settings.task == "ranking" or (names is not None and set(names) <= set(self._test.columns)):
            return self._test
        return self._test.drop([name for name in self.settings.not_inputs if name in self._test.columns])

    def measure_champion(self, tree: Digest, standing: Any, place: Path) -> tuple[Report | None, str]:
        """The champion's report, or why there is none."""
        if not tree:
            return None, ""
        try:
            with opened_version(self._objects, tree, standing, place, name="the champion") as champion:
                return self.measure(champion, tree), ""
        except PenstockError as error:  # unknown is not good: a gate that needs it will not pass
            return None, str(error)

    def measure(self, model: AnyModel, tree: Digest) -> Report:
        """A model's report."""
        settings, test = self.settings, self._test
        found = evaluate(
            model.predict(test),
            test,
            label=settings.label,
            task=settings.task,
            metrics=settings.metrics,
            primary=settings.primary,
            gates=settings.gates,
            slices=[name for name in settings.slices if name in test.columns],
            reference=self._reference,
            classes=model.classes,
            cluster=settings.cluster if settings.cluster in test.columns else None,
            catalogue=self._catalogue,
            precision=Precision(seed=settings.seed),
            subject=Subject(model=tree, data=self.data),
            keep=self._objects.put_bytes,
        )
        return found.report


@contextmanager
def opened_version(objects: ObjectStore, tree: Digest, standing: Any, place: Path, *, name: str) -> Iterator[AnyModel]:
    """A registered model, which runs where its standing allows.

    Args:
        objects: has its directory.
        tree: of that directory.
        standing: its `Standing` as plain values; None where nobody decided about it.
        place: a folder for its files.
        name: what messages call it.

    Raises:
        PenstockError: it cannot be opened, or may not be.
    """
    known = Standing(tree=tree) if standing is None else codec.convert(standing, Standing)
    settings = RunnerSettings(folder=place / "runners", environments=place / "environments")
    objects.checkout(tree, place / "version")
    model = open_folder(place / "version", known, settings, name=name)
    try:
        yield model
    finally:
        close_model(model)


def _check_frames(test: object, reference: object, label: str) -> None:
    for what, frame in (("test", test), ("reference", reference)):
        if frame is not None and not isinstance(frame, pl.DataFrame):
            raise InvalidInputError(f"the candidate's {what} rows are a {type(frame).__name__}, not a polars DataFrame")
    if isinstance(test, pl.DataFrame) and label not in test.columns:
        hint = "keep the label in the test rows, or name it: Candidate(model, test=rows, label=...)"
        raise InvalidInputError(f"the candidate's test rows have no column {label!r}", hint=hint)

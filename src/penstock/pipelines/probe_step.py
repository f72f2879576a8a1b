"""The last steps of a probe: what a challenger, or a version that there is, loses on each of some rows."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core import codec
from penstock.core.ids import Digest
from penstock.core.project.types import Task
from penstock.evaluation.answers import CLASS_TASKS, find_classes, labelled, read_outputs, read_truth
from penstock.pipelines.evaluate_step import opened_version
from penstock.registry.format.loaded import load_model
from penstock.registry.format.saving import save_model
from penstock.registry.loading import AnyModel
from penstock.stats.arrays import FloatArray
from penstock.stats.losses import class_losses, number_losses, number_scale
from penstock.stats.metrics import find_metric
from penstock.storage.objects.object_store import ObjectStore

_USUAL_OF_LISTS = "hit_rate_at_20"  # where the project's own metric is no mean over rows


class TrialSettings(Struct, frozen=True, kw_only=True):
    """How models are tried; it comes from the project file."""

    task: Task
    label: str
    metric: str  # of lists: one minus its value of a row is what the row lost


def try_challenger(objects: ObjectStore, model: Any, rows: pl.DataFrame, settings: Any) -> FloatArray:
    """The losses of what a pipeline trained.

    Args:
        objects: the object store.
        model: what it trained.
        rows: n rows of inputs, with the label.
        settings: `TrialSettings` as plain values.

    Returns:
        Shape (n,), each between 0 and 1; NaN of a row that says nothing.
    """
    terms = codec.convert(settings, TrialSettings)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        save_model(model, Path(folder) / "challenger", task=terms.task, sample=rows, label=terms.label)
        return _losses(load_model(Path(folder) / "challenger", may_execute=True), rows, terms)  # the project's own code


def try_version(objects: ObjectStore, tree: str, standing: Any, rows: pl.DataFrame, settings: Any) -> FloatArray:
    """The losses of a version, as `try_challenger` gives them.

    Args:
        objects: the object store.
        tree: the version's directory.
        standing: who vouches for its code; a `Standing` as plain values.
        rows: n rows of inputs, with the label.
        settings: `TrialSettings` as plain values.
    """
    with (
        tempfile.TemporaryDirectory(prefix="penstock-") as folder,
        opened_version(objects, Digest(tree), standing, Path(folder), name="the version") as model,
    ):
        return _losses(model, rows, codec.convert(settings, TrialSettings))


def _losses(model: AnyModel, rows: pl.DataFrame, terms: TrialSettings) -> FloatArray:
    kept = rows.filter(labelled(rows[terms.label]))
    labels, predictions = kept[terms.label], model.predict(kept)
    classes = find_classes(terms.task, labels, known=model.classes)
    truth = read_truth(terms.task, labels, classes)
    outputs = read_outputs(terms.task, predictions, truth, classes)
    if terms.task in CLASS_TASKS:
        return class_losses(np.asarray(truth, dtype=np.int64), _probabilities(outputs, len(classes)))
    if terms.task == "ranking":
        metric = find_metric(terms.metric)
        gains = (metric if metric.is_mean else find_metric(_USUAL_OF_LISTS)).terms(truth, outputs["items"])[:, 0]
        return np.asarray(1.0 - gains, dtype=np.float64)
    return number_losses(truth, outputs["prediction"], number_scale(truth))


def _probabilities(outputs: dict[str, Any], classes: int) -> FloatArray:
    """Shape (n, classes); of a model that says the class only, all of it."""
    held = outputs.get("probabilities")
    if held is None:
        return np.asarray(np.eye(classes)[outputs["prediction"]], dtype=np.float64)
    chances = np.asarray(held, dtype=np.float64)
    return np.column_stack([1 - chances, chances]) if chances.ndim == 1 else chances

"""Compares the inputs of windows with the reference of their version: a chain of windows, numbered by event time.

The level of a test depends on the number of the comparison, and some windows are tested together with those before
them (`budget.py`). Both follow from the windows in their order, so that it does not matter when their rows came: a
window that came late, or was changed, only has those compared anew that it moves.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from penstock.core.project.types import Project
from penstock.monitoring.budget import SPANS, share_budget
from penstock.monitoring.drift import FEW_ROWS, compare_spans
from penstock.monitoring.models import ModelVersions
from penstock.monitoring.references import References
from penstock.monitoring.sketches import TableSketch, decode_sketch
from penstock.monitoring.types import Window
from penstock.registry.types import ModelVersion
from penstock.storage.objects.object_store import ObjectStore


class Comparisons:
    """Compares the windows of one deployment. Not safe to share between threads."""

    def __init__(self, registry: ModelVersions, references: References, objects: ObjectStore, project: Project) -> None:
        self._registry = registry
        self._references = references
        self._objects = objects
        self._project = project
        self._budget = share_budget(project)

    def follow(self, windows: Sequence[Window], changed: set[datetime]) -> list[Window]:
        """The windows of one version with their comparisons, oldest first.

        Args:
            windows: of the version, oldest first.
            changed: starts of those that were measured anew; they, and all that rest on them, are compared anew.
        """
        version = windows[0].version if windows else None
        model = None if version is None else self._registry.get_version(self._project.name, version)
        reference = None if model is None else self._references.find_sketch(model)
        if model is None or reference is None:
            note = "no model version answered" if model is None else f"version {version} has no reference sample"
            return [_without(window, note) for window in windows]
        columns = self._project.monitor.columns or self._watched(model, reference)
        chain: list[Window] = []  # of those that are compared
        done = []
        for window in windows:
            if window.rows < FEW_ROWS or window.sketches is None:
                done.append(_without(window, f"{window.rows} rows are too few to compare"))
                continue
            chain.append(window)
            number = len(chain)
            rests_on = {held.start for span in SPANS if number % span == 0 for held in chain[-span:]}
            if window.number != number or rests_on & changed:
                chain[-1] = self._compare(chain, reference, columns)
            done.append(chain[-1])
        return done

    def _compare(self, chain: Sequence[Window], reference: TableSketch, columns: Sequence[str]) -> Window:
        """The newest window of a chain, compared alone and together with those before it."""
        number = len(chain)
        levels = self._budget.levels(number)
        spans = {span: self._read_span(chain[-span:]) for span in levels}
        whole = {span: found for span, found in spans.items() if found is not None}
        drift = compare_spans(reference, whole, columns, levels)
        return replace(chain[-1], number=number, level=self._budget.level(number), drift=drift, drift_note="")

    def _read_span(self, windows: Sequence[Window]) -> TableSketch | None:
        """What windows hold together; None where they do not have the same columns."""
        held = [decode_sketch(self._objects.get_bytes(w.sketches), str(w.ref)) for w in windows if w.sketches]
        merged = held[-1]
        for found in reversed(held[:-1]):
            if found.columns.keys() != merged.columns.keys():
                return None
            merged = found.merge(merged)
        return merged

    def _watched(self, model: ModelVersion, reference: TableSketch) -> list[str]:
        """The inputs of the model, but for the key, which names the customer."""
        inputs = [column.name for column in model.signature.inputs]
        return [name for name in inputs if name in reference.columns and name != self._project.deploy.key]


def keep_comparison(before: Window | None, window: Window) -> Window:
    """A window that was measured anew, with its comparison as it was where its inputs are what they were."""
    if before is None or (before.version, before.sketches) != (window.version, window.sketches):
        return window
    return replace(window, number=before.number, level=before.level, drift=before.drift, drift_note=before.drift_note)


def _without(window: Window, note: str) -> Window:
    return replace(window, number=0, level=None, drift=[], drift_note=note)

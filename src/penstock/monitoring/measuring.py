"""Computes one window from its predictions and outcomes: figures by revision, drift, performance and losses."""

from datetime import datetime

import polars as pl
from msgspec import structs

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Project
from penstock.monitoring.answers import pack_answers, read_answers, reads_inputs
from penstock.monitoring.budget import list_group_columns, share_budget
from penstock.monitoring.drift import tell_uncut
from penstock.monitoring.estimators import why_not_estimated
from penstock.monitoring.fairness import NOT_LOGGED, cut_groups, measure_groups
from penstock.monitoring.maturity import count_outcomes, counts_absence, read_absence
from penstock.monitoring.models import ModelVersions, Revisions
from penstock.monitoring.performance import (
    LabelledRows,
    group_losses,
    measure,
    misses_bar,
    read_labelled_rows,
)
from penstock.monitoring.references import References, keys_of, own_keys
from penstock.monitoring.scores import calibrate_scores, sketch_answers
from penstock.monitoring.sketches import (
    SEGMENT_ROOM,
    TableSketch,
    decode_sketch,
    encode_sketch,
    sketch_frame,
    sketch_segments,
)
from penstock.monitoring.types import (
    Estimate,
    GroupPerformance,
    KeptSketches,
    LossEvidence,
    Performance,
    RevisionFigures,
    Window,
)
from penstock.monitoring.watches import MOST_GROUPS, measure_harm
from penstock.monitoring.weighing import sum_by_age
from penstock.predictions.frames import unpack_json
from penstock.registry.types import ModelVersion
from penstock.stats.arrays import FloatArray, IntArray
from penstock.stats.metrics import primary_metric
from penstock.storage.objects.object_store import ObjectStore


class WindowMeter:
    """Measures the windows of one deployment."""

    def __init__(
        self,
        registry: ModelVersions,
        serving: Revisions,
        references: References,
        objects: ObjectStore,
        project: Project,
    ) -> None:
        self._registry = registry
        self._serving = serving
        self._references = references
        self._objects = objects
        self._project = project
        self._terms = project.outcomes
        self._length = project.monitor.window
        self._budget = share_budget(project)

    @property
    def metric(self) -> str:
        """What performance is measured by: the project's choice, the charter's, or that of the task."""
        watched = self._project.monitor.performance
        return watched.metric if watched else self._project.charter.metric or primary_metric(self._project.task)

    def measure(
        self,
        start: datetime,
        rows: pl.DataFrame,
        before: Window | None = None,
    ) -> Window:
        """The window that begins at `start`; how far its inputs have moved is said by `comparing.py`.

        Args:
            start: of the window.
            rows: its predictions with their outcomes (`PredictionReader.read_rows`); at least one.
            before: as it is recorded: it says what a missing outcome means, and keeps what was made of inputs that are
                gone.
        """
        absent_is_negative, kept = before is not None and counts_absence(before), before.kept if before else None
        versions = {held.number: held.version for held in self._serving.list_revisions(self._project.name)}
        version = _most_frequent(rows, versions)
        model = None if version is None else self._registry.get_version(self._project.name, version)
        reference = None if model is None else self._references.find_sketch(model)
        sketch = self._sketch(rows, model, reference, kept)
        maturity, outcomes = count_outcomes(rows, self._terms), rows.height - rows["outcome"].null_count()
        if model is not None and model.classes:
            rows = read_absence(rows, self._terms, is_negative=absent_is_negative, negative=model.classes[0])
        own = rows.filter(pl.col("revision").is_in([number for number, held in versions.items() if held == version]))
        labelled = self._label(own, model)
        groups, group_notes = self._cut_groups(own)
        performance = measure(self.metric, labelled) if len(labelled) else None
        only = own["revision"].unique().to_list()
        sums = sum_by_age(self._project.task, self.metric, own, model.classes if model else (), start, self._length)
        return Window(
            deployment=self._project.name,
            start=start,
            end=start + self._length,
            rows=rows.height,
            outcomes=outcomes,
            version=version,
            performance=performance,
            below_bar=self._misses_bar(labelled),
            loss=self._lose(labelled),
            watches=self._measure_harm(own, labelled, groups, model),
            estimate=self._prepare_estimate(own, model, before),
            groups=[*self._measure_groups(groups, model), *group_notes],
            maturity=structs.replace(maturity, sums=sums, absent_is_negative=absent_is_negative),
            revisions=[
                self._count(
                    rows, number, performance if only == [number] else self._measure_revision(rows, number, model)
                )
                for number in sorted(rows["revision"].unique())
            ],
            sketches=None if sketch is None else self._objects.put_bytes(encode_sketch(sketch)),
            kept=kept,
            segment_notes=_tell_uncut(reference, sketch),
        )

    def _sketch(
        self, rows: pl.DataFrame, model: ModelVersion | None, reference: TableSketch | None, kept: KeptSketches | None
    ) -> TableSketch | None:
        """What is kept of rows whose inputs are gone, with the rows that came after them."""
        held = None
        if kept is not None and kept.sketches is not None:
            held = decode_sketch(self._objects.get_bytes(kept.sketches))
        late = rows.filter(pl.col("has_inputs"), pl.col("segment") > (kept.segments if kept else 0))
        if not late.height:
            return held
        sketch = self._sketch_rows(late, model, reference)
        if held is None:
            return sketch
        can_merge = held.columns.keys() == sketch.columns.keys()
        return held.merge(sketch) if can_merge else held

    def _sketch_rows(
        self, rows: pl.DataFrame, model: ModelVersion | None, reference: TableSketch | None
    ) -> TableSketch:
        """Of all rows, and of the segments that the reference is cut into."""
        cuts = () if reference is None else tuple(held.cut for held in reference.segments)
        inputs, key = unpack_json(rows, "inputs"), self._project.deploy.key
        is_keyed = rows["key"].str.len_bytes().sum() > 0
        keys = own_keys(rows["key"]) if is_keyed else keys_of(inputs, key)

        def sketch(inside: IntArray) -> TableSketch:
            own = None if keys is None else [keys[number] for number in inside.tolist()]
            held = sketch_frame(inputs[inside], own, room=SEGMENT_ROOM)
            return self._with_answers(held, rows[inside], model)

        whole = self._with_answers(sketch_frame(inputs, keys), rows, model)
        return structs.replace(whole, segments=sketch_segments(inputs, cuts, sketch))

    def _with_answers(self, sketch: TableSketch, rows: pl.DataFrame, model: ModelVersion | None) -> TableSketch:
        chances = calibrate_scores(rows, model.classes) if model and self._project.task == "binary" else None
        return structs.replace(sketch, outputs=sketch_answers(rows), calibration=chances)

    def _label(self, rows: pl.DataFrame, model: ModelVersion | None) -> LabelledRows:
        return read_labelled_rows(self._project.task, rows, model.classes if model else ())

    def _misses_bar(self, labelled: LabelledRows) -> bool:
        watched = self._project.monitor.performance
        if watched is None or (watched.at_least is None and watched.at_most is None) or not len(labelled):
            return False
        figures = measure(self.metric, labelled, confidence=1 - 2 * self._budget.rate)
        return misses_bar(figures, at_least=watched.at_least, at_most=watched.at_most)

    def _lose(self, labelled: LabelledRows) -> LossEvidence | None:
        if self._project.monitor.performance is None:
            return None
        losses = group_losses(self._project.task, self.metric, labelled)
        if not len(losses):
            return None
        return self._keep_losses(losses)

    def _measure_harm(
        self,
        own: pl.DataFrame,
        labelled: LabelledRows,
        groups: dict[str, dict[str, pl.DataFrame]],
        model: ModelVersion | None,
    ) -> list[LossEvidence]:
        """What the other watches measured, not judged yet."""
        both = {}
        for column, parts in groups.items():
            for group, rows in list(parts.items())[:MOST_GROUPS]:
                others = own.join(rows, on="id", how="anti")
                both[f"{column}={group}"] = [self._label(rows, model), self._label(others, model)]
        found = measure_harm(self._project, self.metric, own, labelled, both)
        return [self._keep_losses(held, watch) for watch, held in found.items()]

    def _keep_losses(self, losses: FloatArray, watch: str = "loss") -> LossEvidence:
        digest = self._objects.put_bytes(losses.astype("<f4").tobytes())
        return LossEvidence(watch=watch, mean_loss=float(losses.mean()), groups=len(losses), losses=digest)

    def _cut_groups(self, own: pl.DataFrame) -> tuple[dict[str, dict[str, pl.DataFrame]], list[GroupPerformance]]:
        """The groups of each sensitive column, and why a column has none."""
        columns = list_group_columns(self._project)
        inputs = unpack_json(own, "inputs") if columns else pl.DataFrame()
        groups, notes = {}, []
        for column in columns:
            try:
                groups[column] = cut_groups(own, inputs, column)
            except InvalidInputError as error:
                notes.append(GroupPerformance(column=column, group="", rows=own.height, note=str(error)))
        return groups, notes

    def _measure_groups(
        self, groups: dict[str, dict[str, pl.DataFrame]], model: ModelVersion | None
    ) -> list[GroupPerformance]:
        return [
            found
            for column, parts in groups.items()
            for found in measure_groups(self.metric, column, parts, lambda rows: self._label(rows, model))
        ]

    def _prepare_estimate(
        self, own: pl.DataFrame, model: ModelVersion | None, before: Window | None
    ) -> Estimate | None:
        """What an estimate of the window is made from (`estimating.py`); None where performance is not watched."""
        if self._project.monitor.performance is None:
            return None
        if reads_inputs(self._project.task):
            if before is not None and before.kept is not None:
                return before.estimate  # it stays what it was
            own = own.filter(pl.col("has_inputs"))
        why_not = why_not_estimated(self._project.task, self.metric) or ("" if model else "no model version answered")
        if why_not or model is None:
            return Estimate(metric=self.metric, note=why_not)
        rows = read_answers(self._project.task, own, model.classes, model.signature.inputs)
        if not len(rows):
            return Estimate(metric=self.metric, note="every request failed")
        return Estimate(metric=self.metric, material=self._objects.put_bytes(pack_answers(rows)))

    def _measure_revision(self, rows: pl.DataFrame, revision: int, model: ModelVersion | None) -> Performance | None:
        labelled = self._label(rows.filter(pl.col("revision") == revision), model)
        return measure(self.metric, labelled) if len(labelled) else None

    def _count(self, rows: pl.DataFrame, revision: int, performance: Performance | None) -> RevisionFigures:
        own = rows.filter(pl.col("revision") == revision)
        latency = own["latency_ms"].quantile(0.99)
        return RevisionFigures(
            revision=revision,
            rows=own.height,
            errors=int((own["status"] == "error").sum()),
            fallbacks=int((own["status"] == "fallback").sum()),
            latency_p99_ms=None if latency is None else round(float(latency), 3),
            performance=performance,
        )


def _tell_uncut(reference: TableSketch | None, sketch: TableSketch | None) -> list[str]:
    return [] if reference is None or sketch is None else tell_uncut(reference, sketch, absent=f"it {NOT_LOGGED}")


def _most_frequent(rows: pl.DataFrame, versions: dict[int, int]) -> int | None:
    """The version that answered most rows; the newer one of two equals."""
    counts: dict[int, int] = {}
    for revision, count in rows["revision"].value_counts().iter_rows():
        if revision in versions:
            counts[versions[revision]] = counts.get(versions[revision], 0) + count
    return max(counts, key=lambda version: (counts[version], version)) if counts else None

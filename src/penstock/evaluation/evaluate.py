"""One report from a model's predictions on labelled rows: metrics, free baselines, slices, and scores per row."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl
from blake3 import blake3
from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest
from penstock.core.project.types import ChampionGate, Gate, MetricGate, Task
from penstock.evaluation.answers import Answers, find_classes, labelled, read_outputs, read_truth
from penstock.evaluation.baselines import free_baselines
from penstock.evaluation.measuring import Precision, collect_terms, measure
from penstock.evaluation.scores import Scores, pack_scores
from penstock.evaluation.slices import cut_slices, measure_slices
from penstock.evaluation.types import BaselineResult, MetricValue, Report, seal
from penstock.stats.arrays import FloatArray, IntArray, cluster_codes
from penstock.stats.comparison import Comparison
from penstock.stats.metrics import default_metrics, find_metric, primary_metric
from penstock.stats.paired import compare_terms

DEPTH = 20  # items a popularity list holds when no metric asks for more


class Subject(Struct, frozen=True, kw_only=True):
    """What a report is about; each may be empty."""

    model: str = ""  # digest of the model directory
    data: str = ""  # digest or ref of the test data
    run_id: str = ""


class Evaluation(Struct, frozen=True):
    """A report with the scores it was made from; `report.scores` names them once they are kept."""

    report: Report
    scores: bytes


def evaluate(
    predictions: pl.DataFrame,
    frame: pl.DataFrame,
    *,
    label: str,
    task: Task,
    metrics: Sequence[str] = (),
    primary: str | None = None,
    gates: Sequence[Gate] = (),
    slices: Sequence[str] = (),
    reference: pl.DataFrame | None = None,
    baselines: Mapping[str, pl.DataFrame] | None = None,
    classes: Sequence[Any] = (),
    cluster: str | None = None,
    series: str | None = None,
    catalogue: int = 0,
    precision: Precision | None = None,
    subject: Subject | None = None,
    keep: Callable[[bytes], Digest] | None = None,
) -> Evaluation:
    """Measure a model.

    Args:
        predictions: what `model.predict(frame)` gave, a row for each row of `frame`.
        frame: the test rows with their label; rows without one are left out and counted.
        label: its column.
        task: of the project.
        metrics: to measure beside the usual ones of the task and those that gates name.
        primary: the metric to judge by; by default the usual one of the task.
        gates: of the project; the metrics and slices they ask for are measured.
        slices: columns of `frame` to cut slices by.
        reference: the rows trained on, with the label, oldest first: what free baselines learn from.
        baselines: predictions of the caller's own baselines, by name.
        classes: of a classifier in its own order, the positive one last; by default sorted.
        cluster: a column whose rows may depend on one another, such as the customer; clusters are the units then.
        series: for a forecast, the column that names the series, in `frame` and `reference`.
        catalogue: how many items could be suggested, for coverage.
        precision: confidence, bootstrap samples and seed of the intervals.
        subject: which model, data and run this is.
        keep: puts the scores into an object store, as `ObjectStore.put_bytes` does.

    Raises:
        InvalidInputError: a column is missing, a prediction is missing or not finite, or a metric does not exist.
    """
    subject, gates = subject or Subject(), tuple(gates)
    wanted = _wanted_metrics(task, metrics, primary, gates)
    exam = _set_exam(
        predictions,
        frame,
        label=label,
        task=task,
        metrics=wanted,
        learned=_learned(reference, label),
        classes=classes,
        cluster=cluster,
        catalogue=catalogue,
        precision=precision or Precision(),
    )
    terms = exam.terms(predictions)
    scores = pack_scores(Scores(_paired_terms(terms), exam.clusters))
    report = Report(
        task=task,
        model=subject.model,
        data=subject.data,
        run_id=subject.run_id,
        label=label,
        primary=wanted[0],
        rows=len(exam.rows),
        unlabelled=len(frame) - len(exam.rows),
        rows_digest=digest_rows(exam.rows),
        cluster=cluster,
        clusters=None if exam.clusters is None else int(exam.clusters.max()) + 1,
        confidence=exam.precision.confidence,
        seed=exam.precision.seed,
        metrics=exam.measure(terms),
        baselines=exam.measure_baselines(terms, baselines or {}, series),
        slices=measure_slices(
            cut_slices(exam.rows, [*slices, *_gate_slices(gates)]),
            {name: held for name, held in terms.items() if held is not None},
            primary=wanted[0],
            metrics=[gate.metric for gate in gates if isinstance(gate, MetricGate) and gate.slice],
            clusters=exam.clusters,
            precision=exam.precision,
        ),
        scores=Digest("") if keep is None else keep(scores),
    )
    return Evaluation(seal(report), scores)


def load_evaluation(report: Report, read: Callable[[Digest], bytes]) -> Evaluation:
    """A report with its scores from the object store, as `ObjectStore.get_bytes` reads them."""
    return Evaluation(report, read(report.scores))


def digest_rows(rows: pl.DataFrame) -> str:
    """BLAKE3 of the rows in their order; the same for the same values, whatever memory layout they have."""
    text = io.BytesIO()
    rows.select(sorted(rows.columns)).write_ndjson(text)
    return blake3(text.getvalue()).hexdigest()


Terms = dict[str, FloatArray | None]


class _Exam(Struct, frozen=True, kw_only=True):
    """The labelled rows with their truth: what the model and each baseline are held against."""

    task: Task
    label: str
    known: pl.Series  # which of all test rows have a label
    rows: pl.DataFrame  # these rows
    truth: Any
    classes: tuple[Any, ...]
    learned: pl.DataFrame | None  # what free baselines learn from
    clusters: IntArray | None
    metrics: list[str]  # the primary one first
    catalogue: int
    precision: Precision

    def terms(self, predictions: pl.DataFrame) -> Terms:
        """What each row adds to each metric, by the predictions for all test rows."""
        return self._terms(read_outputs(self.task, predictions.filter(self.known), self.truth, self.classes))

    def measure(self, terms: Terms) -> tuple[MetricValue, ...]:
        """Every metric with its interval."""
        return tuple(measure(find_metric(name), held, self.clusters, self.precision) for name, held in terms.items())

    def measure_baselines(
        self, ours: Terms, own: Mapping[str, pl.DataFrame], series: str | None
    ) -> tuple[BaselineResult, ...]:
        """The free baselines, then the caller's own, each beside the model."""
        learned_from = "test" if self.learned is None else "training"
        results = [
            self._beside(ours, name, learned_from, self._terms(outputs)) for name, outputs in self._free(series).items()
        ]
        results += [self._beside(ours, name, "caller", self.terms(given)) for name, given in own.items()]
        return tuple(results)

    def _terms(self, outputs: dict[str, Any]) -> Terms:
        return collect_terms(Answers(self.truth, outputs), self.metrics, catalogue=self.catalogue)

    def _free(self, series: str | None) -> dict[str, dict[str, Any]]:
        known = self.rows if self.learned is None else self.learned
        named = None if series is None else (_column(known, series, "series"), _column(self.rows, series, "series"))
        return free_baselines(
            self.task, known[self.label], self.truth, classes=self.classes, depth=_depth(self.metrics), series=named
        )

    def _beside(self, ours: Terms, name: str, learned_from: str, theirs: Terms) -> BaselineResult:
        comparison = self._compare(ours[self.metrics[0]], theirs[self.metrics[0]])
        return BaselineResult(name=name, learned_from=learned_from, metrics=self.measure(theirs), comparison=comparison)

    def _compare(self, ours: FloatArray | None, theirs: FloatArray | None) -> Comparison | None:
        metric = find_metric(self.metrics[0])
        if ours is None or theirs is None or not metric.has_interval:
            return None
        try:
            return compare_terms(
                metric,
                ours,
                theirs,
                clusters=self.clusters,
                confidence=self.precision.confidence,
                seed=self.precision.seed,
            )
        except InvalidInputError:  # undefined on these rows, as ROC AUC with one class
            return None


def _set_exam(
    predictions: pl.DataFrame,
    frame: pl.DataFrame,
    *,
    label: str,
    task: Task,
    metrics: list[str],
    learned: pl.DataFrame | None,
    classes: Sequence[Any],
    cluster: str | None,
    catalogue: int,
    precision: Precision,
) -> _Exam:
    if len(predictions) != len(frame):
        raise InvalidInputError(f"the model gave {len(predictions)} predictions for {len(frame)} rows")
    known = labelled(_column(frame, label, "label"))
    rows = frame.filter(known)
    if not len(rows):
        raise InvalidInputError(f"no test row has a label in {label!r}", hint="test on rows with outcomes", field=label)
    seen = [rows[label], *_predicted(predictions), *([] if learned is None else [learned[label]])]
    codes = find_classes(task, *seen, known=classes)
    return _Exam(
        task=task,
        label=label,
        known=known,
        rows=rows,
        truth=read_truth(task, rows[label], codes),
        classes=codes,
        learned=learned,
        clusters=None if cluster is None else cluster_codes(_column(rows, cluster, "cluster").to_list()),
        metrics=metrics,
        catalogue=catalogue,
        precision=precision,
    )


def _wanted_metrics(task: Task, metrics: Sequence[str], primary: str | None, gates: Sequence[Gate]) -> list[str]:
    """The primary metric first, then the usual ones, the caller's and the gates'."""
    from_gates = [gate.metric for gate in gates if isinstance(gate, MetricGate | ChampionGate)]
    first = primary or primary_metric(task)
    wanted = list(dict.fromkeys([first, *default_metrics(task), *metrics, *from_gates]))
    for name in wanted:
        metric = find_metric(name)
        if task not in metric.tasks:
            told = ", ".join(metric.tasks)
            raise InvalidInputError(f"{name!r} is a metric of {told}, and the task is {task}", field="metrics")
    return wanted


def _gate_slices(gates: Sequence[Gate]) -> list[str]:
    return [gate.slice.partition("=")[0] for gate in gates if isinstance(gate, MetricGate) and gate.slice]


def _learned(reference: pl.DataFrame | None, label: str) -> pl.DataFrame | None:
    if reference is None or label not in reference.columns:
        return None
    held = reference.filter(labelled(reference[label]))
    return held if len(held) else None


def _predicted(predictions: pl.DataFrame) -> list[pl.Series]:
    """The predicted classes; none where there is no such column, which `read_outputs` then says."""
    return [predictions["prediction"]] if "prediction" in predictions.columns else []


def _column(frame: pl.DataFrame, name: str, what: str) -> pl.Series:
    if name not in frame.columns:
        hint = nearest_hint(name, frame.columns)
        raise InvalidInputError(f"the test data have no column {name!r} for the {what}", hint=hint, field=what)
    return frame[name]


def _depth(metrics: Sequence[str]) -> int:
    depths = [int(name.rpartition("_at_")[2]) for name in metrics if "_at_" in name]
    return max(depths, default=DEPTH)


def _paired_terms(terms: Terms) -> dict[str, FloatArray]:
    """Those that a later model can be compared by, row for row."""
    return {name: held for name, held in terms.items() if held is not None and find_metric(name).has_interval}

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest
from penstock.core.project.types import MetricGate
from penstock.evaluation.evaluate import Evaluation, Subject, evaluate, load_evaluation
from penstock.evaluation.measuring import Precision
from penstock.evaluation.scores import unpack_scores
from penstock.evaluation.types import BaselineResult, Report, content_digest
from penstock.stats.comparison import Standing

QUICK = Precision(replicates=100)


def binary(n: int = 500, *, seed: int = 1, skill: float = 1.0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predictions and test rows of a classifier that knows something, but nothing in the slice `new`."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.4).astype(int)
    segment = rng.choice(["old", "new"], n, p=[0.7, 0.3])
    signal = np.where(segment == "old", skill * label, 0.0) + rng.normal(0, 0.5, n)
    score = 1 / (1 + np.exp(-(signal - 0.3)))
    frame = pl.DataFrame({"label": label, "segment": segment, "age": rng.integers(18, 90, n)})
    return pl.DataFrame({"prediction": (score > 0.5).astype(int), "score": score}), frame


def ranking(n: int = 400, *, seed: int = 2) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lists of 20 among 200 items, with the wanted one often among them."""
    rng = np.random.default_rng(seed)
    items, wanted = [], []
    for _ in range(n):
        row = rng.choice(200, 20, replace=False)
        liked = {f"i{row[rng.integers(20)]}"} if rng.random() < 0.6 else {f"i{i}" for i in rng.choice(200, 2)}
        items.append([f"i{i}" for i in row])
        wanted.append([] if rng.random() < 0.1 else sorted(liked))
    frame = pl.DataFrame({"user": [f"u{i % (n // 4)}" for i in range(n)], "bought": wanted})
    return pl.DataFrame({"items": items, "scores": [[1.0] * 20] * n}), frame


def baseline(report: Report, name: str) -> BaselineResult:
    return next(found for found in report.baselines if found.name == name)


def test_a_report_holds_the_usual_metrics_with_intervals_that_hold_them() -> None:
    predictions, frame = binary()
    report = evaluate(predictions, frame, label="label", task="binary", precision=QUICK).report
    assert report.primary == "roc_auc" == report.metrics[0].name
    expected = reference.roc_auc_score(frame["label"], predictions["score"])
    assert report.metrics[0].value == pytest.approx(expected)
    for metric in report.metrics:
        assert metric.value is not None and metric.low is not None and metric.high is not None
        assert metric.low < metric.value < metric.high
        assert metric.n == report.rows == 500


def test_the_model_is_held_against_what_comes_for_free() -> None:
    predictions, frame = binary()
    training = pl.DataFrame({"label": [1] * 70 + [0] * 30})
    report = evaluate(predictions, frame, label="label", task="binary", reference=training, precision=QUICK).report
    majority = baseline(report, "majority")
    assert majority.learned_from == "training"
    values = {metric.name: metric.value for metric in majority.metrics}
    assert values["roc_auc"] == 0.5
    assert values["accuracy"] == pytest.approx(frame["label"].mean())  # it learned that 1 is the rule
    assert values["brier"] == pytest.approx(((frame["label"] - 0.7) ** 2).mean())
    assert majority.comparison is not None
    assert majority.comparison.verdict is Standing.BETTER


def test_numbers_are_held_against_mean_median_and_last_value() -> None:
    truth = np.arange(20.0)
    frame = pl.DataFrame({"y": truth, "shop": ["a", "b"] * 10})
    training = pl.DataFrame({"y": [1.0, 2.0, 9.0, 4.0], "shop": ["a", "b", "a", "b"]})
    report = evaluate(
        pl.DataFrame({"prediction": truth + 0.5}),
        frame,
        label="y",
        task="forecast",
        reference=training,
        series="shop",
        precision=QUICK,
    ).report

    def mae_of(name: str) -> float | None:
        return next(metric.value for metric in baseline(report, name).metrics if metric.name == "mae")

    assert mae_of("mean") == pytest.approx(np.abs(truth - 4.0).mean())
    assert mae_of("median") == pytest.approx(np.abs(truth - 3.0).mean())
    assert mae_of("last_value") == pytest.approx(np.abs(truth - np.tile([9.0, 4.0], 10)).mean())


def test_lists_are_held_against_the_most_popular_items_and_the_callers_own() -> None:
    predictions, frame = ranking()
    training = pl.DataFrame({"bought": [["i1", "i2"], ["i1"], [], ["i2"], ["i3"]]})
    report = evaluate(
        predictions,
        frame,
        label="bought",
        task="ranking",
        reference=training,
        baselines={"same": predictions},
        precision=QUICK,
    ).report
    popular, same = baseline(report, "popularity"), baseline(report, "same")
    share = frame.filter(pl.col("bought").list.len() > 0).select(
        (pl.col("bought").list.set_intersection(["i1", "i2", "i3"]).list.len() / pl.col("bought").list.len()).mean()
    )
    assert popular.metrics[0].value == pytest.approx(share.item())
    assert popular.comparison is not None and popular.comparison.verdict is Standing.BETTER
    assert same.learned_from == "caller"
    assert same.comparison is not None and same.comparison.difference == 0.0


def test_rows_without_a_label_are_left_out_and_counted() -> None:
    predictions, frame = binary(100)
    half = frame.with_columns(label=pl.when(pl.int_range(100) < 40).then(pl.col("label")))
    report = evaluate(predictions, half, label="label", task="binary", precision=QUICK).report
    assert (report.rows, report.unlabelled) == (40, 60)
    expected = evaluate(predictions[:40], frame[:40], label="label", task="binary", precision=QUICK).report
    assert report.metrics == expected.metrics
    assert report.rows_digest == expected.rows_digest


def test_clusters_widen_intervals_to_what_copies_are_worth() -> None:
    predictions, frame = binary(200)
    frame = frame.with_columns(customer=pl.int_range(200))
    copied, copies = pl.concat([frame] * 8), pl.concat([predictions] * 8)

    def width(of: pl.DataFrame, rows: pl.DataFrame, cluster: str | None) -> float:
        report = evaluate(of, rows, label="label", task="binary", cluster=cluster, precision=QUICK).report
        found = report.find_metric("brier")
        assert found is not None and found.low is not None and found.high is not None
        return found.high - found.low

    assert width(copies, copied, "customer") == pytest.approx(width(predictions, frame, None), rel=1e-6)
    assert width(copies, copied, None) < 0.5 * width(predictions, frame, None)


def test_the_planted_bad_slice_is_the_one_that_is_flagged() -> None:
    predictions, frame = binary(2000)
    report = evaluate(
        predictions, frame, label="label", task="binary", slices=["segment", "age"], precision=QUICK
    ).report
    assert [part.name for part in report.slices if part.is_worse] == ["segment=new"]
    bad = report.find_slice("segment=new")
    assert bad is not None and bad.rest is not None
    assert bad.n == (frame["segment"] == "new").sum()
    mask = (frame["segment"] == "new").to_numpy()
    expected = reference.roc_auc_score(frame["label"].to_numpy()[mask], predictions["score"].to_numpy()[mask])
    assert bad.metrics[0].value == pytest.approx(expected)
    ages = [part for part in report.slices if part.column == "age"]
    assert len(ages) == 4
    assert sum(part.n for part in ages) == 2000


def test_what_gates_ask_for_is_measured() -> None:
    predictions, frame = binary()
    gate = MetricGate(metric="balanced_accuracy", at_least=0.5, slice="segment=old")
    report = evaluate(predictions, frame, label="label", task="binary", gates=[gate], precision=QUICK).report
    assert report.find_metric("balanced_accuracy") is not None
    part = report.find_slice("segment=old")
    assert part is not None
    assert [metric.name for metric in part.metrics] == ["roc_auc", "balanced_accuracy"]


def test_a_metric_the_model_gives_nothing_for_is_unknown_rather_than_wrong() -> None:
    predictions, frame = binary(50)
    report = evaluate(predictions.drop("score"), frame, label="label", task="binary", precision=QUICK).report
    assert report.metrics[0].value is None
    assert report.find_metric("accuracy") is not None


def test_one_class_leaves_the_auc_unknown_and_the_rest_known() -> None:
    predictions, frame = binary(50)
    ones = frame.with_columns(label=pl.lit(1))
    report = evaluate(predictions, ones, label="label", task="binary", slices=["segment"], precision=QUICK).report
    assert report.metrics[0].value is None
    assert baseline(report, "majority").comparison is None
    assert codec.decode(codec.encode(report), Report) == report


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_measured_too(task: str) -> None:
    rng = np.random.default_rng(5)
    if task == "multiclass":
        label = rng.choice(["a", "b", "c"], 200)
        given = pl.DataFrame({"prediction": label, "probabilities": rng.dirichlet(np.ones(3), 200).tolist()})
    else:
        label = rng.normal(size=200)
        given = pl.DataFrame({"prediction": label + rng.normal(0, 0.1, 200)})
    report = evaluate(given, pl.DataFrame({"y": label}), label="y", task=task, precision=QUICK).report  # type: ignore[arg-type]
    assert all(metric.value is not None for metric in report.metrics)
    assert all(found.comparison is not None for found in report.baselines)
    assert report.baselines[0].learned_from == "test"


def test_a_report_is_the_same_bytes_each_time_and_its_id_says_so() -> None:
    predictions, frame = ranking()
    subject = Subject(model="m", data="dataset-version:events/1", run_id="r")

    def run() -> Evaluation:
        return evaluate(
            predictions, frame, label="bought", task="ranking", cluster="user", precision=QUICK, subject=subject
        )

    first, second = run(), run()
    assert first == second
    assert first.report.id == content_digest(first.report)
    assert (first.report.model, first.report.run_id) == ("m", "r")
    assert first.report.clusters == 100


def test_scores_are_kept_and_found_again() -> None:
    predictions, frame = binary(100)
    kept: dict[Digest, bytes] = {}

    def keep(data: bytes) -> Digest:
        kept[Digest("d" * 64)] = data
        return Digest("d" * 64)

    made = evaluate(predictions, frame, label="label", task="binary", precision=QUICK, keep=keep)
    assert load_evaluation(made.report, kept.__getitem__) == made
    terms = unpack_scores(made.scores).terms["roc_auc"]
    assert terms[:, 0].tolist() == frame["label"].to_list()
    assert terms[:, 1].tolist() == predictions["score"].to_list()


def test_a_larger_catalogue_lowers_coverage() -> None:
    predictions, frame = ranking()

    def coverage(catalogue: int) -> float:
        report = evaluate(
            predictions, frame, label="bought", task="ranking", catalogue=catalogue, precision=QUICK
        ).report
        found = report.find_metric("coverage_at_20")
        assert found is not None and found.value is not None and found.low is None
        return found.value

    assert coverage(0) == 1.0
    assert coverage(1000) == pytest.approx(0.2)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_slices_of_a_column_take_each_row_once(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 60))
    values = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=n, max_size=n))
    frame = pl.DataFrame({"y": np.arange(n, dtype=float), "count": pl.Series(values, dtype=pl.Int64)})
    given_ = pl.DataFrame({"prediction": np.zeros(n)})
    report = evaluate(
        given_, frame, label="y", task="regression", slices=["count"], precision=Precision(replicates=5)
    ).report
    assert sum(part.n for part in report.slices) == n


def test_mistakes_are_named() -> None:
    predictions, frame = binary(20)
    with pytest.raises(InvalidInputError, match="did you mean 'label'"):
        evaluate(predictions, frame, label="lable", task="binary")
    with pytest.raises(InvalidInputError, match="19 predictions for 20 rows"):
        evaluate(predictions[:19], frame, label="label", task="binary")
    with pytest.raises(InvalidInputError, match="metric of ranking, and the task is binary"):
        evaluate(predictions, frame, label="label", task="binary", metrics=["recall_at_5"])
    with pytest.raises(InvalidInputError, match="no column 'segmnt' to slice by"):
        evaluate(predictions, frame, label="label", task="binary", slices=["segmnt"])
    with pytest.raises(InvalidInputError, match="no test row has a label"):
        nothing = frame.with_columns(label=pl.lit(None, dtype=pl.Int64))
        evaluate(predictions, nothing, label="label", task="binary")

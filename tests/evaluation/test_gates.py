import msgspec
import numpy as np
import polars as pl
import pytest

from penstock.core import codec
from penstock.core.project.types import ApprovalGate, ChampionGate, Gate, LatencyGate, MetricGate
from penstock.evaluation.evaluate import Evaluation, evaluate
from penstock.evaluation.gates import judge
from penstock.evaluation.measuring import Precision
from penstock.evaluation.types import GateResult, Verdict, content_digest

N = 600
rng = np.random.default_rng(31)
LABELS = (rng.random(N) < 0.4).astype(int)
FRAME = pl.DataFrame({"label": LABELS, "segment": np.where(np.arange(N) % 3 == 0, "new", "old")})
NOISE = rng.normal(0, 0.4, N)
GATE = ChampionGate(metric="roc_auc", margin=0.01)


def model(
    *, skill: float = 1.0, jitter: float = 0.0, frame: pl.DataFrame = FRAME, slices: str = "", seed: int = 1
) -> Evaluation:
    own = jitter * np.random.default_rng(seed).normal(size=N)
    score = 1 / (1 + np.exp(-(skill * LABELS + NOISE + own - 0.4)))[: len(frame)]
    given = pl.DataFrame({"prediction": (score > 0.5).astype(int), "score": score})
    gates = [MetricGate(metric="accuracy", at_least=0.1, slice=slices)] if slices else []
    return evaluate(given, frame, label="label", task="binary", gates=gates, precision=Precision(replicates=100))


def one(gate: Gate, candidate: Evaluation, champion: Evaluation | None = None) -> GateResult:
    verdict = judge([gate], candidate, champion)
    assert verdict.passed == verdict.gates[0].passed
    return verdict.gates[0]


def test_a_bar_is_held_against_the_value_and_the_interval_is_told() -> None:
    good = model()
    found = good.report.metrics[0]
    assert found.value is not None and found.low is not None and found.high is not None
    passed = one(MetricGate(metric="roc_auc", at_least=0.7), good)
    assert passed.passed
    assert (passed.number, passed.bar, passed.low, passed.high) == (found.value, 0.7, found.low, found.high)
    assert passed.message.endswith("meets its bar of at least 0.7, with its whole interval.")
    close = one(MetricGate(metric="roc_auc", at_least=(found.low + found.value) / 2), good)
    assert close.passed
    assert close.message.endswith("but the interval reaches across the bar.")
    missed = one(MetricGate(metric="roc_auc", at_least=0.999), good)
    assert not missed.passed
    assert "misses its bar of at least 0.999 by" in missed.message


def test_a_bar_may_be_a_ceiling_or_both() -> None:
    good = model()
    assert one(MetricGate(metric="brier", at_most=0.3), good).passed
    assert not one(MetricGate(metric="brier", at_most=0.01), good).passed
    both = one(MetricGate(metric="accuracy", at_least=0.1, at_most=0.2), good)
    assert not both.passed
    assert both.bar == 0.2
    assert one(MetricGate(metric="accuracy", at_least=0.1, at_most=1.0), good).bar == 0.1


def test_a_bar_may_stand_on_one_slice() -> None:
    good = model(slices="segment=new")
    result = one(MetricGate(metric="accuracy", at_least=0.5, slice="segment=new"), good)
    assert result.passed
    assert "in segment=new" in result.message
    assert result.evidence["rows"] == 200
    missing = one(MetricGate(metric="accuracy", at_least=0.5, slice="segment=nwe"), good)
    assert not missing.passed
    assert "no slice 'segment=nwe' in the test data; there are: segment=old, segment=new" in missing.message


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (MetricGate(metric="mae", at_most=9.0), "mae was not measured"),
        (MetricGate(metric="roc_auc"), "names no bar"),
        (MetricGate(metric="f1_macro", at_least=0.0, slice="segment=new"), "was not measured in segment=new"),
    ],
)
def test_what_is_unknown_never_passes(gate: MetricGate, reason: str) -> None:
    result = one(gate, model(slices="segment=new"))
    assert not result.passed
    assert "Unknown is not good" in result.message
    assert reason in result.message


def test_an_undefined_metric_never_passes() -> None:
    one_class = model(frame=FRAME.with_columns(label=pl.lit(1)))
    assert not one(MetricGate(metric="roc_auc", at_least=0.0), one_class).passed
    assert not one(MetricGate(metric="roc_auc", at_most=1.0), one_class).passed
    assert not one(GATE, one_class, one_class).passed


@pytest.mark.parametrize("gate", [LatencyGate(p99_ms=20), ApprovalGate(by="lead")])
def test_a_gate_that_cannot_be_decided_fails_and_says_so(gate: Gate) -> None:
    result = one(gate, model())
    assert not result.passed
    assert result.kind in ("latency", "approval")
    assert "cannot decide" in result.message


def test_the_first_model_has_no_champion_to_be_worse_than() -> None:
    result = one(GATE, model())
    assert result.passed
    assert "no champion yet" in result.message


def test_a_better_candidate_passes_and_a_worse_one_does_not() -> None:
    strong, weak = model(skill=2.0), model(skill=0.3)
    better, worse = one(GATE, strong, weak), one(GATE, weak, strong)
    assert better.passed and better.evidence["standing"] == "better"
    assert better.message.startswith("Better than the champion on roc_auc: ahead by")
    assert not worse.passed and worse.evidence["standing"] == "worse"
    assert worse.message.startswith("Worse than the champion on roc_auc: behind by")
    assert better.number == pytest.approx(-worse.number)  # type: ignore[operator]
    assert better.evidence["candidate"] == strong.report.metrics[0].value
    assert better.evidence["champion_report"] == weak.report.id


def test_a_tie_is_called_a_tie_and_the_margin_decides() -> None:
    ours, theirs = model(jitter=0.1), model(jitter=0.1, seed=2)
    close = one(ChampionGate(metric="roc_auc", margin=0.05), ours, theirs)
    assert close.passed
    assert close.message.startswith("A tie with the champion")
    assert "is ruled out" in close.message
    noisy, other = model(jitter=0.4), model(jitter=0.4, seed=2)
    open_ = one(ChampionGate(metric="roc_auc", margin=0.0001), noisy, other)
    assert not open_.passed
    assert "is not ruled out, which takes more test rows" in open_.message


def test_a_candidate_is_not_worse_than_itself() -> None:
    same = model()
    assert one(ChampionGate(metric="roc_auc", margin=0.0), same, same).passed
    assert one(ChampionGate(metric="f1", margin=0.0), same, same).passed


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "f1", "average_precision"])
def test_every_kind_of_metric_has_its_paired_test(metric: str) -> None:
    gate = ChampionGate(metric=metric, margin=0.02)
    strong, weak = model(skill=2.0), model(skill=0.3)
    assert one(gate, strong, weak).passed
    assert not one(gate, weak, strong).passed


def test_models_tested_on_different_rows_cannot_be_compared() -> None:
    other = model(frame=FRAME[: N // 2])
    result = one(GATE, model(), other)
    assert not result.passed
    assert "not tested on the same rows" in result.message


def test_scores_that_were_damaged_fail_the_gate_rather_than_the_process() -> None:
    broken = msgspec.structs.replace(model(), scores=b"nonsense")
    result = one(GATE, model(), broken)
    assert not result.passed
    assert "cannot be read" in result.message


def test_a_verdict_passes_only_when_every_gate_does() -> None:
    good = model(skill=2.0)
    easy, hard = MetricGate(metric="roc_auc", at_least=0.5), MetricGate(metric="roc_auc", at_least=1.0)
    verdict = judge([easy, hard], good)
    assert not verdict.passed
    assert verdict.summary.startswith("1 of 2 gates failed.")
    assert judge([easy, GATE], good).passed
    assert judge([easy, GATE], good).summary == "All 2 gates passed."


def test_a_model_that_is_no_better_than_what_is_free_is_not_passed_in_silence() -> None:
    useless = model(skill=0.0)
    verdict = judge([MetricGate(metric="accuracy", at_least=0.0)], useless)
    assert verdict.passed
    assert any("Not shown to be better than majority" in warning for warning in verdict.warnings)
    assert judge([], useless).warnings[0].startswith("The project has no gates")


def test_a_verdict_is_named_by_its_content_and_survives_the_wire() -> None:
    good = model()
    verdict = judge([GATE, MetricGate(metric="roc_auc", at_least=0.5)], good, good)
    assert verdict.id == content_digest(verdict)
    assert codec.decode(codec.encode(verdict), Verdict) == verdict
    assert judge([GATE, MetricGate(metric="roc_auc", at_least=0.5)], good, good) == verdict

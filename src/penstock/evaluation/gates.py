"""Gates: what has to hold before a model may be released. They read reports, never models.

A gate that cannot be decided does not pass: an unknown is not good.
"""

from collections.abc import Sequence

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import ChampionGate, Gate, MetricGate
from penstock.evaluation.evaluate import Evaluation
from penstock.evaluation.scores import unpack_scores
from penstock.evaluation.types import GateResult, MetricValue, Report, Verdict, seal
from penstock.stats.comparison import Comparison, Standing
from penstock.stats.metrics import find_metric
from penstock.stats.paired import compare_terms


def judge(gates: Sequence[Gate], candidate: Evaluation, champion: Evaluation | None = None) -> Verdict:
    """What the gates say about a candidate.

    A `metric` gate holds the value itself against its bar; where the interval lies is said beside it, since a bar
    names the value that is wanted, not one that is proven. A `champion` gate is a paired test on the same rows and
    passes when a loss beyond its margin is ruled out; with no champion yet it passes and says so. Other kinds cannot
    be decided here and fail.

    Args:
        gates: of the project file.
        candidate: its report and scores.
        champion: the present champion's, made on the same rows; None when there is none.
    """
    results = tuple(_judge_one(gate, candidate, champion) for gate in gates)
    failed = [result for result in results if not result.passed]
    verdict = Verdict(
        passed=not failed,
        report_id=candidate.report.id,
        champion_report_id=champion.report.id if champion else None,
        gates=results,
        warnings=_warnings(candidate.report, gates),
        summary=_summary(results, failed),
    )
    return seal(verdict)


def _judge_one(gate: Gate, candidate: Evaluation, champion: Evaluation | None) -> GateResult:
    if isinstance(gate, MetricGate):
        return _judge_metric(gate, candidate.report)
    if isinstance(gate, ChampionGate):
        return _judge_champion(gate, candidate, champion)
    kind = type(gate).__struct_config__.tag
    return GateResult(
        kind=str(kind),
        passed=False,
        message=f"This version cannot decide a gate of kind {kind!r}, so it does not pass; "
        "take the gate out of penstock.toml to release without it.",
        evidence={"report": candidate.report.id},
    )


def _judge_metric(gate: MetricGate, report: Report) -> GateResult:
    evidence: dict[str, object] = {"report": report.id} | ({"slice": gate.slice} if gate.slice else {})
    found, missing = _look_up(gate, report)
    if found is None or found.value is None:
        missing = missing or f"{gate.metric}{_where(gate)} is undefined on these {report.rows:,} rows"
        return _undecided("metric", gate.metric, missing, evidence)
    bar, passed = _nearest_bar(gate, found.value)
    if bar is None:
        return _undecided("metric", gate.metric, "the gate names no bar; give 'at_least' or 'at_most'", evidence)
    return GateResult(
        kind="metric",
        passed=passed,
        metric=gate.metric,
        number=found.value,
        bar=bar,
        low=found.low,
        high=found.high,
        message=_metric_sentence(gate, found, found.value, bar, passed=passed),
        evidence=evidence | {"rows": found.n},
    )


def _undecided(kind: str, metric: str, reason: str, evidence: dict[str, object]) -> GateResult:
    message = f"Unknown is not good: {reason}."
    return GateResult(kind=kind, passed=False, metric=metric, message=message, evidence=evidence)


def _nearest_bar(gate: MetricGate, value: float) -> tuple[float | None, bool]:
    """The bar that decides, and whether it is met; of two bars the one that is missed."""
    if gate.at_most is not None and (value > gate.at_most or gate.at_least is None):
        return gate.at_most, value <= gate.at_most
    return gate.at_least, gate.at_least is not None and value >= gate.at_least


def _where(gate: MetricGate) -> str:
    return f" in {gate.slice}" if gate.slice else ""


def _look_up(gate: MetricGate, report: Report) -> tuple[MetricValue | None, str]:
    """The value a gate asks for, or why there is none."""
    if gate.slice is None:
        found = report.find_metric(gate.metric)
        return found, "" if found else f"{gate.metric} was not measured"
    part = report.find_slice(gate.slice)
    if part is None:
        known = ", ".join(other.name for other in report.slices[:8]) or "none"
        return None, f"there is no slice {gate.slice!r} in the test data; there are: {known}"
    found = next((value for value in part.metrics if value.name == gate.metric), None)
    return found, "" if found else f"{gate.metric} was not measured in {gate.slice}"


def _metric_sentence(gate: MetricGate, found: MetricValue, value: float, bar: float, *, passed: bool) -> str:
    wanted = f"at least {bar:g}" if bar == gate.at_least else f"at most {bar:g}"
    says = f"meets its bar of {wanted}" if passed else f"misses its bar of {wanted} by {abs(value - bar):.4g}"
    span = _span(found.low, found.high)
    told = f"{gate.metric}{_where(gate)} is {value:.4g}{span} on {found.n:,} rows and {says}"
    if found.low is None or found.high is None:
        return f"{told}."
    if found.low <= bar <= found.high:
        return f"{told}, {'but' if passed else 'and'} the interval reaches across the bar."
    return f"{told}, with its whole interval."


def _judge_champion(gate: ChampionGate, candidate: Evaluation, champion: Evaluation | None) -> GateResult:
    evidence: dict[str, object] = {"report": candidate.report.id}
    if champion is None:
        message = f"There is no champion yet, so there is nothing to be worse than on {gate.metric}."
        return GateResult(
            kind="champion", passed=True, metric=gate.metric, margin=gate.margin, message=message, evidence=evidence
        )
    evidence["champion_report"] = champion.report.id
    try:
        found = _compare(gate, candidate, champion)
    except (InvalidInputError, CorruptDataError) as error:
        return _undecided("champion", gate.metric, error.message, evidence)
    for name, report in (("candidate", candidate.report), ("champion", champion.report)):
        measured = report.find_metric(gate.metric)
        evidence[name] = measured.value if measured else None
    evidence |= {"test": found.method, "p_value": found.p_value, "rows": found.n, "standing": found.verdict.value}
    return GateResult(
        kind="champion",
        passed=found.verdict in (Standing.BETTER, Standing.NOT_WORSE),
        metric=gate.metric,
        number=found.difference,
        bar=-gate.margin,
        margin=gate.margin,
        low=found.low,
        high=found.high,
        message=_champion_sentence(gate, found),
        evidence=evidence,
    )


def _compare(gate: ChampionGate, candidate: Evaluation, champion: Evaluation) -> Comparison:
    metric = find_metric(gate.metric)
    if candidate.report.rows_digest != champion.report.rows_digest:
        raise InvalidInputError("candidate and champion were not tested on the same rows")
    ours, theirs = unpack_scores(candidate.scores), unpack_scores(champion.scores)
    for name, scores in (("candidate", ours), ("champion", theirs)):
        if gate.metric not in scores.terms:
            raise InvalidInputError(f"the {name}'s report holds no scores for {gate.metric}")
    return compare_terms(
        metric,
        ours.terms[gate.metric],
        theirs.terms[gate.metric],
        margin=gate.margin,
        clusters=ours.clusters,
        confidence=candidate.report.confidence,
        seed=candidate.report.seed,
    )


def _champion_sentence(gate: ChampionGate, found: Comparison) -> str:
    margin = f"a loss of more than the margin of {gate.margin:g}"
    standing, says = {
        Standing.BETTER: ("Better than", ""),
        Standing.NOT_WORSE: ("A tie with", f"; {margin} is ruled out"),
        Standing.TIE: ("A tie with", f"; but {margin} is not ruled out, which takes more test rows"),
        Standing.WORSE: ("Worse than", ""),
    }[found.verdict]
    if found.verdict is Standing.NOT_WORSE and found.high is not None and found.high < 0:
        standing = "Slightly worse than"
    return f"{standing} the champion on {gate.metric}: {_gain(found)} on the same {found.n:,} rows{says}."


def _warnings(report: Report, gates: Sequence[Gate]) -> tuple[str, ...]:
    told = [] if gates else ["The project has no gates: nothing was required of the model."]
    for baseline in report.baselines:
        found = baseline.comparison
        if found is not None and found.verdict is not Standing.BETTER:
            told.append(f"Not shown to be better than {baseline.name} on {report.primary}: {_gain(found)}.")
    for part in report.slices:
        here = next((value for value in part.metrics if value.name == report.primary), None)
        if part.is_worse and here is not None and here.value is not None and part.rest is not None:
            seen = f"{here.value:.4g} on {here.n:,} rows, {part.rest:.4g} elsewhere"
            told.append(f"{report.primary} is worse in {part.name}: {seen}.")
    return tuple(told)


def _gain(found: Comparison) -> str:
    """`ahead by 0.02 [0.01, 0.03]`, or `behind by` with the signs turned round, whichever way the metric runs."""
    if found.difference >= 0:
        return f"ahead by {found.difference:.4g}{_span(found.low, found.high)}"
    turned = (None, None) if found.low is None or found.high is None else (-found.high, -found.low)
    return f"behind by {-found.difference:.4g}{_span(*turned)}"


def _summary(results: Sequence[GateResult], failed: Sequence[GateResult]) -> str:
    if not results:
        return "No gates, so nothing stands in the way."
    if not failed:
        return f"All {len(results)} gates passed." if len(results) > 1 else f"The gate passed. {results[0].message}"
    first = failed[0].message
    return f"{len(failed)} of {len(results)} gates failed. {first}"


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.4g}, {high:.4g}]"

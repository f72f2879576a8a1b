"""What a probe adds to the case for a retrain: a pure function of losses."""

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from penstock.loop.retraining.case import Case, Rule
from penstock.loop.retraining.types import Standing
from penstock.pipelines.types import RowSpan, read_version
from penstock.stats.arrays import FloatArray

ALL = "all"
CONTENDERS = {
    "all": "a model of all rows",
    "last": "a model of the last rows",
    "change": "a model of the rows since the change",
    "weighted": "a model of rows weighted by age",
}


class Advice(Struct, frozen=True, kw_only=True):
    """Whether to go on to a new model, and why."""

    helps: bool  # or may, as far as is known
    reason: str  # in plain words
    span: RowSpan | None = None  # the rows to learn from; None of a version, or where nobody knows
    contender: str = ""  # the rows to learn from, or the version to go back to; empty where nobody knows


def weigh(
    case: Case, champion: FloatArray, contenders: Mapping[str, FloatArray], twin: FloatArray | None, rule: Rule
) -> Case:
    """The case after one stretch of rows more.

    Args:
        case: so far.
        champion: what the champion lost, shape (n,); NaN of a row that says nothing.
        contenders: what each way to go on lost on the same rows, by name; the rows it would learn from, or a version.
        twin: what a challenger lost that learned from the champion's own rows; None where it is known already.
        rule: when a retrain is worth it.
    """
    if not contenders:
        return case
    known = ~np.isnan(champion)
    for lost in contenders.values():
        known &= ~np.isnan(lost)
    if not known.any():
        return case
    fallback = ALL if ALL in contenders else next(iter(contenders))
    case = case.fade(rule).move_to(case.window if case.window in contenders else fallback)
    if twin is not None:
        both = known & ~np.isnan(twin)
        case = case.learn_shortfall(champion[both], twin[both])
    for rival in contenders:
        if rival != case.window:
            case = case.compare(contenders[case.window][known], rival, contenders[rival][known], rule)
    return case.add(champion[known], contenders[case.window][known], is_full=read_version(case.window) is not None)


def measure_gain(champion: FloatArray, contender: FloatArray) -> tuple[float, float]:
    """How much less a contender loses than the champion, of a row, and the standard error of that."""
    gains = champion - contender
    gains = gains[~np.isnan(gains)]
    if len(gains) < 2:
        return 0.0, math.inf
    return float(gains.mean()), float(gains.std(ddof=1)) / math.sqrt(len(gains))


def advise(standing: Standing, rule: Rule) -> Advice:
    """Whether a new model would help, or one that there was; what is not known the gates decide."""
    probed, case = standing.newest, standing.case
    if probed is None:
        return Advice(helps=True, reason="too few outcomes are known to try anything on; the gates decide")
    if probed.is_broken:
        return Advice(helps=False, reason=f"nobody should learn from these rows: {probed.problem}")
    if probed.problem:
        return Advice(helps=True, reason=f"no probe could tell ({probed.problem}); the gates decide")
    best = next((each for each in probed.contenders if each.name == case.window and not each.problem), None)
    if best is None:
        return Advice(helps=True, reason="no challenger could be tried; the gates decide")
    what = CONTENDERS.get(best.name, best.name)
    gain = f"{abs(best.gain):.3f} ± {best.error:.3f} {'less' if best.gain >= 0 else 'more'}"
    told = f"on {probed.tried.rows:,} rows {what} lost {gain} a row than the champion"
    if case.lost.total > 0:
        told += f"; what the champion has cost so far is {case.lost.total:.3f}"
        told += f" ± {math.sqrt(case.lost.variance):.3f}, and a retrain is worth it from {rule.cost:.3f}"
    if not case.is_due(rule):
        return Advice(helps=False, reason=f"a retrain would not help: {told}", contender=best.name)
    return Advice(helps=True, reason=f"a retrain would help: {told}", contender=best.name, span=best.span)


def find_gain(standing: Standing, rule: Rule) -> str:
    """Why a retrain is worth it; empty where it is not, or no probe has told."""
    if standing.newest is None or standing.newest.problem or not standing.case.is_due(rule):
        return ""
    advice = advise(standing, rule)
    return advice.reason if advice.helps and advice.contender else ""

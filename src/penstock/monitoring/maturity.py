"""Is enough known of a window to hold it against others? Pure functions of what was counted and of the time.

A young window knows the outcomes that come early, and those are not like the others: defaults come before the loans
that go well are over, complaints before contentment. So a window alarms, and enters what others are held against, only
once it is *matured*; until then its figures are shown with the share of outcomes they rest on. A window is matured when

- the share known has reached `outcomes.matured` (95 %) of the share that is ever known; or
- the label-delay curve says that it should have, and what came does not lag behind the curve; or
- `outcomes.horizon` has passed, after which nothing is waited for.

The share that is ever known is the end of the label-delay curve, where predictions were watched for long enough to say
that no more comes (`stats.survival`) - with a horizon: for as long as that. Before, it is taken to be all of them. No
outcome at all never makes a window matured: unknown is not good.

Where absence is a negative (`outcomes.absent`), a window is matured once `outcomes.after` has passed for all of it, or
by the curve `outcomes.matured` of the outcomes that ever come are there; from then on rows without one count as
negatives. One that comes still later is taken as it is, and the window is measured anew.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import polars as pl
from msgspec import Struct

from penstock.core import codec
from penstock.core.project.types import OutcomesSection
from penstock.monitoring.delay_counts import count_answered, count_delays, count_segments
from penstock.monitoring.types import Maturity, Window
from penstock.monitoring.weighing import find_speeds, weigh
from penstock.registry.format.types import Label
from penstock.stats.survival import Incidence

PARTS = 8  # of a window, over which the share that should be known is averaged
LAG_ERRORS = 3.0  # what came lags behind the curve when it is so many standard errors below


class Ageing(Struct, frozen=True):
    """What a window's maturity is judged by."""

    terms: OutcomesSection
    curve: Incidence  # of the deployment
    as_of: datetime  # event time up to which windows are closed

    @property
    def final(self) -> float | None:
        """The share of outcomes that is ever known; None: not watched for long enough to say."""
        curve, horizon = self.curve, self.terms.horizon
        complete = curve.is_complete if horizon is None else curve.followed >= horizon.total_seconds()
        return curve.last if complete and curve.last > 0 else None

    @property
    def full_age(self) -> timedelta | None:
        """The age by which enough is known; None: there is no telling."""
        if self.terms.after is not None:
            return self.terms.after
        age = None if self.final is None else self.curve.age_of(self.terms.matured * self.final)
        by_curve = None if age is None else timedelta(seconds=age)
        known = [each for each in (by_curve, self.terms.horizon) if each is not None]
        return min(known) if known else None


def weigh_outcomes(windows: Sequence[Window], ageing: Ageing) -> dict[datetime, float | None]:
    """The weighted metric of each young window by its start; None where it would not be right (`weighing`)."""
    held = [(window, window.maturity) for window in windows if window.maturity is not None]
    if ageing.terms.absent == "negative" or not find_speeds([each for _, each in held if each.matured]).are_alike:
        return {}
    return {
        window.start: weigh(maturity, window, ageing.curve, (ageing.as_of - window.end).total_seconds())
        for window, maturity in held
        if not maturity.matured
    }


def count_outcomes(rows: pl.DataFrame, terms: OutcomesSection) -> Maturity:
    """What a window knows of its outcomes; whether that is enough is judged later, and may change with time."""
    answered, delays = count_answered(rows), count_delays(rows)
    known = sum(count for _, count in delays) / answered if answered else 0.0
    return Maturity(answered=answered, known=known, delays=delays, segments=count_segments(rows, terms.by))


def judge_maturity(window: Window, ageing: Ageing) -> Maturity | None:
    """The maturity of a window as of a moment; None for one whose outcomes were not counted."""
    if window.maturity is None:
        return None
    terms, final, full_age = ageing.terms, ageing.final, ageing.full_age
    expected = _expect(window, ageing) if ageing.curve.ages else None
    reason = _find_reason(window, window.maturity, expected, ageing)
    return msgspec.structs.replace(
        window.maturity,
        expected=None if expected is None else round(expected, 3),
        final=None if final is None else round(final, 3),
        matured=not reason,
        matures_at=None if full_age is None else window.end + full_age,
        absent_is_negative=not reason and terms.absent == "negative",
        weighted=None,
        note=reason,
    )


def read_absence(rows: pl.DataFrame, terms: OutcomesSection, *, is_negative: bool, negative: Label) -> pl.DataFrame:
    """Rows as they may be measured where outcomes are one-sided.

    Args:
        rows: predictions with their outcomes.
        terms: of the project.
        is_negative: whether the rows are old enough for absence to be a negative; if not, none of them has an outcome,
            as those that are known are nearly all positive.
        negative: the label of a negative.
    """
    if terms.absent != "negative":
        return rows
    if not is_negative:
        return rows.with_columns(outcome=pl.lit(None, pl.String), outcome_at=pl.lit(None, rows["outcome_at"].dtype))
    return rows.with_columns(pl.col("outcome").fill_null(codec.encode_text(negative)))


def read_absence_by_window(
    rows: pl.DataFrame, terms: OutcomesSection, windows: Sequence[Window], negative: Label
) -> pl.DataFrame:
    """Rows of several windows as they may be measured where outcomes are one-sided, each as its window counts it."""
    if terms.absent != "negative":
        return rows
    old = [(pl.col("at") >= held.start) & (pl.col("at") < held.end) for held in windows if counts_absence(held)]
    is_old = pl.any_horizontal(*old) if old else pl.lit(False)
    parts = [
        read_absence(rows.filter(part), terms, is_negative=is_negative, negative=negative)
        for part, is_negative in ((is_old, True), (~is_old, False))
    ]
    return pl.concat(parts).sort("at", "id")


def counts_absence(window: Window) -> bool:
    """Whether rows of a window without an outcome count as negatives."""
    return window.maturity is not None and window.maturity.absent_is_negative


def _find_reason(window: Window, maturity: Maturity, expected: float | None, ageing: Ageing) -> str:
    """Why a window is not matured; empty where it is."""
    terms, final, age = ageing.terms, ageing.final, ageing.as_of - window.end
    if terms.absent == "negative":
        return _find_one_sided_reason(age, ageing)
    if not maturity.known:
        return "no outcome is known"
    if maturity.known >= terms.matured * (1.0 if final is None else final):
        return ""
    if terms.horizon is not None and age >= terms.horizon:
        return ""
    if final is None or expected is None:
        return f"{maturity.known:.0%} of the outcomes are known, and how many will be cannot be told yet"
    if expected < terms.matured * final:
        return f"at this age {expected:.0%} of the outcomes are known, and in the end {final:.0%}"
    if _lags(maturity, expected, ageing) and age.total_seconds() < 2 * ageing.curve.ages[-1]:
        return f"outcomes are behind: {maturity.known:.0%} are known, and at this age it should be {expected:.0%}"
    return ""


def _find_one_sided_reason(age: timedelta, ageing: Ageing) -> str:
    full_age = ageing.full_age
    if full_age is not None and age >= full_age:
        return ""
    return "it is too early to say that an outcome that has not come is a negative"


def _lags(maturity: Maturity, expected: float, ageing: Ageing) -> bool:
    error = math.sqrt(expected * (1 - expected) / max(maturity.answered, 1))
    return maturity.known < ageing.terms.matured * expected - LAG_ERRORS * error


def _expect(window: Window, ageing: Ageing) -> float:
    """The share that should be known now: G at the ages of the window's rows, taken as evenly spread."""
    part = (window.end - window.start) / PARTS
    ages = [(ageing.as_of - window.start - part * (number + 0.5)).total_seconds() for number in range(PARTS)]
    return sum(ageing.curve.share_by(age) for age in ages) / PARTS

"""How long it takes until something happens, when for many it has not happened yet: the Kaplan-Meier estimate."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import FloatArray

ENOUGH_EVENTS = 100  # with none in so many, up to 3 in a hundred may still come (the rule of three)
LATE_SHARE = 0.02


class Cohort(Struct, frozen=True):
    """Some that began together and were all watched for the same time at least.

    Attributes:
        size: how many.
        events: how many of them had it happen at which age, as (age, count); ages beyond `followed` are not looked at.
        followed: for how long all of them were watched.
    """

    size: int
    events: Sequence[tuple[float, int]]
    followed: float


class Incidence(Struct, frozen=True):
    """G: the share to whom it has happened by an age. It steps up at `ages`, and is 0 before.

    Attributes:
        ages: rising.
        shares: G at each of these ages.
        errors: their standard errors, by Greenwood's formula.
        followed: the longest time that any cohort was watched.
        is_complete: it is safe to say that to those still left it will not happen any more.
    """

    ages: tuple[float, ...]
    shares: tuple[float, ...]
    errors: tuple[float, ...]
    followed: float
    is_complete: bool

    @property
    def last(self) -> float:
        """G at the end of what was watched."""
        return self.shares[-1] if self.shares else 0.0

    def share_by(self, age: float) -> float:
        """G at an age; at one beyond what was watched, G there."""
        place = bisect_right(self.ages, age)
        return self.shares[place - 1] if place else 0.0

    def age_of(self, share: float) -> float | None:
        """The age by which G reaches a share; None where it never does."""
        return next((age for age, reached in zip(self.ages, self.shares, strict=True) if reached >= share), None)


def kaplan_meier(cohorts: Sequence[Cohort]) -> Incidence:
    """The share to whom it has happened by each age, from cohorts of which the young ones were watched only shortly.

    Each cohort counts at the ages up to which all of it was watched, so what happens early in young cohorts is not
    taken for what happens in general (censoring that does not depend on the event).

    It is complete where at least a hundred events were seen and the second half of the time watched brought at most a
    fiftieth of them: a curve that still rises may rise to anywhere. (The test of Maller and Zhou 1994 asks the same of
    a quiet time at the end, but takes events that share an age, as those counted by day do, for proof.)

    Source: Kaplan and Meier 1958; errors: Greenwood 1926.
    """
    watched = [cohort for cohort in cohorts if cohort.size > 0 and cohort.followed > 0]
    ages = np.array(sorted({age for cohort in watched for age, _ in cohort.events if age <= cohort.followed}), float)
    if not len(ages):
        return Incidence((), (), (), max((cohort.followed for cohort in watched), default=0.0), False)
    events = np.zeros((len(watched), len(ages)))
    place = {age: number for number, age in enumerate(ages.tolist())}
    for row, cohort in enumerate(watched):
        for age, count in cohort.events:
            if age <= cohort.followed:
                events[row, place[age]] += count
    followed = np.array([cohort.followed for cohort in watched])
    sizes = np.array([cohort.size for cohort in watched], float)
    left = sizes[:, None] - np.cumsum(events, axis=1) + events
    at_risk = np.where(followed[:, None] >= ages, left, 0.0).sum(axis=0)
    happened = events.sum(axis=0)
    surviving = np.cumprod(1 - happened / at_risk)
    spared = np.maximum(at_risk - happened, 1e-300)
    spread = np.cumsum(np.where(at_risk > happened, happened / (at_risk * spared), 0.0))
    return Incidence(
        ages=tuple(ages.tolist()),
        shares=tuple((1 - surviving).tolist()),
        errors=tuple((surviving * np.sqrt(spread)).tolist()),
        followed=float(followed.max()),
        is_complete=_is_complete(ages, surviving, float(happened.sum()), float(followed.max())),
    )


def _is_complete(ages: FloatArray, surviving: FloatArray, events: float, followed: float) -> bool:
    early = np.flatnonzero(ages <= followed / 2)
    if events < ENOUGH_EVENTS or not len(early):
        return False
    return bool(1 - surviving[early[-1]] >= (1 - LATE_SHARE) * (1 - surviving[-1]))

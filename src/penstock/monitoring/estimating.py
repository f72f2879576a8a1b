"""Follows the estimator of one model version from window to window: estimates, checks, withdrawals, recalibrations.

**Check.** Once enough outcomes of a window are known (`maturity.py`), estimate and measurement on those same rows are
compared. The t-th check of one calibration lets max(3, z) standard errors pass, where z leaves a chance of
0.05 * 6 / (pi t)^2: a good estimator is withdrawn for a single bad check with a chance of 5 % over its whole life,
however many windows it sees.

**Withdrawal.** An estimator that fails a check is withdrawn, from that window on and in sight: windows then say why
they have no estimate. It is calibrated anew on the newest outcomes, goes on being checked without being shown, and
comes back when it has passed `PASSES` checks in a row on windows that it was not calibrated on.

**Change.** What is shown is held against the metric on the rows of the version's first calibration, at the level that
the false-alarm budget leaves (`budget.py`).

Everything follows from the windows in their order, so that computing it again gives the same result, and a window that
late outcomes have changed needs no special case.
"""

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from scipy import special

from penstock.core.ids import Digest
from penstock.core.project.types import Task
from penstock.monitoring.answers import AnswerRows, join_answers, unpack_answers
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.estimators import Estimator, calibrate_estimator, load_estimator, why_too_few
from penstock.monitoring.types import Estimate, EstimateCheck, EstimatorState
from penstock.stats.expected import Expectation
from penstock.stats.metrics import Metric, find_metric

FEW_ROWS = 20  # below this a window has no estimate
FEW_OUTCOMES = 50  # below this an estimate is not checked
FEWEST_ERRORS = 3.0  # standard errors that every check lets pass
WRONGLY_WITHDRAWN = 0.05
PASSES = 2
RECENT_ROWS = 1_000  # labelled ones, that a calibration after a withdrawal goes back for
INTERVAL = 1.96
NO_ROWS = AnswerRows({}, np.zeros(0), np.zeros(0, dtype=np.int64))


class Chain(Struct, frozen=True):
    """The windows of one model version, oldest first, as the estimator sees them.

    Attributes:
        task: of the project.
        metric: name of what is estimated.
        estimates: what is recorded of each window: its material, and what it was estimated at before, if at all.
        names: of the windows, as people say them.
        is_final: whether the estimate of each window stays as it is recorded: what it was made from is gone.
        comparable: whether what is known of the outcomes of each window may be compared with an estimate.
        held_out: labelled rows of the evaluation and what they are, if there are any.
        budget: what the watch over estimates may spend.
        read: gives the bytes of a kept object.
        keep: keeps bytes as an object.
        fitted: estimators by their calibration; filled as they are needed.
    """

    task: Task
    metric: str
    estimates: list[Estimate]
    names: Sequence[str]
    is_final: Sequence[bool]
    comparable: Sequence[bool]
    held_out: Callable[[], tuple[AnswerRows, str] | None]
    budget: AlarmBudget
    read: Callable[[Digest], bytes]
    keep: Callable[[bytes], Digest]
    fitted: dict[Digest, Estimator]

    def follow(self, start: int = 0) -> list[Estimate]:
        """The estimates of all windows, those before `start` as they were recorded."""
        done = self.estimates[:start]
        number = max((held.number for held in done), default=0)
        state = done[-1].state if done else self._begin()
        for at in range(start, len(self.estimates)):
            found = self.estimates[at] if self.is_final[at] else self._step(at, state, number)
            number, state = max(number, found.number), found.state
            done.append(found)
        return done

    def _begin(self) -> EstimatorState:
        given = self.held_out()
        if given is None or why_too_few(self.task, given[0].labelled()):
            return EstimatorState()
        rows, source = given
        return self._calibrate(EstimatorState(), rows, source)

    def _step(self, at: int, state: EstimatorState, number: int) -> Estimate:
        """The estimate of one window and the state after it."""
        rows, plain = self._rows(at), Estimate(metric=self.metric, material=self.estimates[at].material, state=state)
        if len(rows) < FEW_ROWS:
            return msgspec.structs.replace(plain, note=f"{len(rows)} answers are too few to estimate from")
        if state.calibration is None:
            return self._calibrate_first(at, plain)
        estimator, metric = self._estimator(state.calibration), find_metric(self.metric)
        expected = estimator.expect(metric, rows)
        if not math.isfinite(expected.value):
            return msgspec.structs.replace(plain, note=f"{self.metric} is not defined on these answers")
        plain = msgspec.structs.replace(
            plain, rows=len(rows), check=_check(estimator, metric, self._labelled(range(at, at + 1)), state)
        )
        after = self._after(at, state, plain.check)
        if after.withdrawn:
            return msgspec.structs.replace(plain, state=after, note=after.withdrawn)
        return self._show(msgspec.structs.replace(plain, state=after), expected, number + 1)

    def _calibrate_first(self, at: int, plain: Estimate) -> Estimate:
        """Nothing is estimated until enough outcomes are known; the window that brings them is none of the others."""
        gathered = self._labelled(range(at + 1))
        few = why_too_few(self.task, gathered)
        if few:
            return msgspec.structs.replace(plain, note=few)
        source = f"outcomes of windows up to {self.names[at]}"
        note = "the estimator is calibrated on the outcomes of this window"
        return msgspec.structs.replace(plain, state=self._calibrate(plain.state, gathered, source), note=note)

    def _calibrate(self, state: EstimatorState, rows: AnswerRows, source: str) -> EstimatorState:
        metric = find_metric(self.metric)
        digest = self.keep(calibrate_estimator(self.task, metric, rows))
        changed = msgspec.structs.replace(state, calibration=digest, source=source, checks=0, passed=0)
        if state.reference is not None:
            return changed
        expected = self._estimator(digest).expect(metric, rows)
        return msgspec.structs.replace(
            changed, reference=expected.value, reference_error=math.hypot(expected.outcomes, expected.rows)
        )

    def _after(self, at: int, state: EstimatorState, check: EstimateCheck | None) -> EstimatorState:
        """What becomes of the estimator once a window was checked."""
        if check is None:
            return state
        state = msgspec.structs.replace(state, checks=check.number)
        if check.passed:
            passed = state.passed + 1
            back = state.trusted or passed >= PASSES
            return msgspec.structs.replace(
                state, passed=passed, trusted=back, withdrawn="" if back else state.withdrawn
            )
        state = msgspec.structs.replace(state, trusted=False, passed=0, withdrawn=_tell_failure(check, self.names[at]))
        first, count = at, len(self._labelled(range(at, at + 1)))
        while first > 0 and count < RECENT_ROWS:
            first -= 1
            count += len(self._labelled(range(first, first + 1)))
        recent = self._labelled(range(first, at + 1))
        if why_too_few(self.task, recent):
            return state
        return self._calibrate(state, recent, f"outcomes of windows from {self.names[first]} to {self.names[at]}")

    def _show(self, plain: Estimate, expected: Expectation, number: int) -> Estimate:
        """A trusted estimate, held against the first one."""
        state, higher = plain.state, find_metric(self.metric).higher_is_better
        level, error = self.budget.level(number), expected.error
        p_value = 1.0
        if state.reference is not None:
            change_error = math.hypot(expected.change_error, state.reference_error or 0.0)
            worse = (state.reference - expected.value) * (1 if higher else -1)
            p_value = float(special.ndtr(-worse / change_error)) if change_error > 0 else 1.0
        return msgspec.structs.replace(
            plain,
            value=expected.value,
            low=expected.value - INTERVAL * error,
            high=expected.value + INTERVAL * error,
            standard_error=error,
            number=number,
            p_value=p_value,
            level=level,
            dropped=p_value <= level,
        )

    def _estimator(self, calibration: Digest) -> Estimator:
        if calibration not in self.fitted:
            self.fitted[calibration] = load_estimator(self.task, self.read(calibration))
        return self.fitted[calibration]

    def _rows(self, at: int) -> AnswerRows:
        material = self.estimates[at].material
        return NO_ROWS if material is None else unpack_answers(self.read(material))

    def _labelled(self, windows: range) -> AnswerRows:
        parts = [self._rows(at).labelled() for at in windows if self.comparable[at]]
        return join_answers(parts) if parts else NO_ROWS


def _check(estimator: Estimator, metric: Metric, known: AnswerRows, state: EstimatorState) -> EstimateCheck | None:
    """The estimate and the measurement on the rows whose outcome is known; None while they are too few."""
    if len(known) < FEW_OUTCOMES:
        return None
    expected, measured = estimator.expect(metric, known), metric.fn(known.truth, known.outputs[metric.reads])
    if not math.isfinite(expected.value) or not math.isfinite(measured) or not expected.error > 0:
        return None
    limit = allowed_errors(state.checks + 1)
    return EstimateCheck(
        number=state.checks + 1,
        rows=len(known),
        estimated=expected.value,
        measured=measured,
        standard_error=expected.error,
        limit=limit,
        passed=abs(expected.value - measured) <= limit * expected.error,
    )


def allowed_errors(number: int) -> float:
    """How many standard errors the t-th check of one calibration lets pass."""
    return max(FEWEST_ERRORS, float(-special.ndtri(WRONGLY_WITHDRAWN * 3 / (math.pi * number) ** 2)))


def _tell_failure(check: EstimateCheck, name: str) -> str:
    return (
        f"withdrawn in {name}: the estimate was {check.estimated:.3g}, and {check.measured:.3g} was measured on "
        f"{check.rows:,} outcomes, {check.distance:.1f} standard errors apart ({check.limit:.1f} are let pass)"
    )

"""The false-alarm budget: from what the operator allows to the level of each test.

`false_alarms = "N per D"` with windows of length W leaves D / W windows in which at most N false alarms are expected.
Half of N goes to the inputs, half to performance (all of it to the inputs where no performance is watched).

**Inputs.** The t-th window that is compared with one reference is tested at

    alpha_t = min( N W / D,  6 N / (pi t)^2 )

and Holm's procedure shares alpha_t between the columns of the window. Whatever the dependence between windows,
expectations add up, so

- in any stretch of length D at most D / W * N W / D = N windows alarm falsely, however often the reference changes;
- one reference, over its whole life, alarms falsely at most N times, as 6 / (pi t)^2 sums to one. All windows share the
  sampling error of their reference, so their false alarms would come together; this is what the second term bounds.

**Performance.** The e-detector alarms when it reaches A; its average run length to a false alarm is at least A windows
(stats.sequential). A = D / (W N) makes that one false alarm in D / N.
"""

import math
from datetime import timedelta

from msgspec import Struct

from penstock.core.project.rates import Rate

HIGHEST_LEVEL = 0.1  # a budget of many alarms per window would otherwise ask for tests that decide nothing


class AlarmBudget(Struct, frozen=True):
    """What one watch (inputs, or performance) may spend.

    Attributes:
        alarms: N, the false alarms allowed...
        windows: ... in this many windows.
    """

    alarms: float
    windows: float

    def level(self, number: int) -> float:
        """The level of the test in the `number`-th window (from 1) against one reference."""
        rate = self.alarms / self.windows
        spending = 6 * self.alarms / (math.pi * number) ** 2
        return min(rate, spending, HIGHEST_LEVEL)

    @property
    def run_length(self) -> float:
        """A, the least average number of windows between false alarms; infinite for a budget of none."""
        return max(self.windows / self.alarms, 1 / HIGHEST_LEVEL) if self.alarms else math.inf


def share_budget(false_alarms: Rate, window: timedelta, *, watches: int) -> AlarmBudget:
    """The equal part of the project's budget that each of its watches may spend."""
    return AlarmBudget(false_alarms.count / watches, max(false_alarms.per / window, 1.0))

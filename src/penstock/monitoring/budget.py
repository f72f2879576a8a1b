"""The false-alarm budget: from what the operator allows to the level of each test.

`false_alarms = "N per D"` with windows of length W leaves T = D / W windows in which at most N false alarms are
expected. The watches of a project share N equally: the inputs; where performance is measured, the loss detector; and
where it has a bar of its own, that bar. Below, N is the share of one watch.

**Inputs.** The t-th window that is compared with one reference is tested at

    alpha_t = min( N / T,  6 N / (pi t)^2 )

and Holm's procedure shares alpha_t between the columns of the window. Whatever the dependence between windows,
expectations add up, so

- in any stretch of length D at most T * N / T = N windows alarm falsely, however often the reference changes;
- one reference, over its whole life, alarms falsely at most N times, as 6 / (pi t)^2 sums to one. All windows share the
  sampling error of their reference, so their false alarms would come together; this is what the second term bounds.

Besides significance nothing is asked: no rule of thumb says how large a shift must be. How large it is stands beside
the p-value (`ColumnDrift.distance`).

**The loss detector** alarms when its evidence reaches A; it then has seen at least A rows on average where nothing is
wrong (stats.sequential). With m rows in a window, A = m T / N makes that one false alarm in D / N. The loss it puts up
with is the upper end of an interval around the loss of the model's first windows, at level N / T: the chance that this
bar is too low is one window's worth of the budget.

**The bar of the project** (`at_least`, `at_most`) is missed when the interval of a window at level N / T lies wholly
beyond it.
"""

import math

from msgspec import Struct

from penstock.core.project.types import MonitorSection

HIGHEST_LEVEL = 0.1  # a budget of many alarms per window would otherwise ask for tests that decide nothing
LOWEST_LEVEL = 1e-12  # what a budget of none comes to


class AlarmBudget(Struct, frozen=True):
    """What one watch may spend.

    Attributes:
        alarms: N, the false alarms allowed...
        windows: T, ... in this many windows.
    """

    alarms: float
    windows: float

    @property
    def rate(self) -> float:
        """The level of each window's test when all are alike."""
        return min(max(self.alarms / self.windows, LOWEST_LEVEL), HIGHEST_LEVEL)

    def level(self, number: int) -> float:
        """The level of the test in the `number`-th window (from 1) against one reference."""
        spending = 6 * self.alarms / (math.pi * number) ** 2
        return max(min(self.rate, spending), LOWEST_LEVEL)

    def run_length(self, rows: float) -> float:
        """A, the least mean number of rows to a false alarm, with so many rows in a window."""
        return max(rows, 1.0) / self.rate


def share_budget(monitor: MonitorSection) -> AlarmBudget:
    """The equal part of the project's budget that each of its watches may spend."""
    watches = 1
    if monitor.performance is not None:
        watches += 1
        watches += monitor.performance.at_least is not None or monitor.performance.at_most is not None
    return AlarmBudget(monitor.false_alarms.count / watches, max(monitor.false_alarms.per / monitor.window, 1.0))

"""The false-alarm budget: from what the operator allows to the level of each test.

`false_alarms = "N per D"` with windows of length W leaves T = D / W windows in which at most N false alarms are
expected. The watches of a project (`list_watches`) share N equally. Expectations add up, so whatever the watches have
to do with one another, all of them together raise at most N. Below, N is the share of one watch; a watch of several
detectors, as of several groups, gives each an equal part of its share, for the same reason.

**Inputs.** The t-th window that is compared with one reference is tested at

    alpha_t = min( N / T,  6 N / (pi t)^2 )

and Holm's procedure shares alpha_t between the columns of the window. Whatever the dependence between windows,
expectations add up, so

- in any stretch of length D at most T * N / T = N windows alarm falsely, however often the reference changes;
- one reference, over its whole life, alarms falsely at most N times, as 6 / (pi t)^2 sums to one. All windows share the
  sampling error of their reference, so their false alarms would come together; this is what the second term bounds.

Besides significance nothing is asked: no rule of thumb says how large a shift must be. How large it is stands beside
the p-value (`ColumnDrift.distance`).

**Estimated performance.** The t-th estimate of a model version is held against its first calibration at the same level
alpha_t, for the same reason: all estimates share the error of that calibration.

**Detectors of harm** (loss, calibration, gaps between groups, latency, errors) alarm when their evidence reaches A;
they then have seen at least A rows on average where nothing is wrong (stats.sequential). With m rows in a window,
A = m T / N makes that one false alarm in D / N. What they put up with is the project's own figure (latency, errors:
`deploy.guard`), or else the upper end of an interval around the model's first windows, at level N / T: the chance that
this bar is too low is one window's worth of the budget.

**The bar of the project** (`at_least`, `at_most`) is missed when the interval of a window at level N / T lies wholly
beyond it.
"""

import math

from msgspec import Struct

from penstock.core.project.types import Project, Task

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

    def split(self, parts: int) -> "AlarmBudget":
        """The equal part of each of so many detectors."""
        return AlarmBudget(self.alarms / parts, self.windows)


def list_watches(project: Project) -> list[str]:
    """What is watched in a project; each has an equal share of its budget."""
    watched, guard = project.monitor.performance, project.deploy.guard
    has_bar = watched is not None and (watched.at_least is not None or watched.at_most is not None)
    asked = {
        "inputs": True,
        "loss": watched is not None,
        "bar": has_bar,
        "estimate": watched is not None and can_be_estimated(project.task, watched.metric),
        "calibration": watched is not None and project.task == "binary",
        "gap": watched is not None and bool(list_group_columns(project)),
        "latency": guard.latency_p99_ms is not None,
        "errors": guard.error_rate is not None,
    }
    return [name for name, is_asked in asked.items() if is_asked]


def list_group_columns(project: Project) -> list[str]:
    """The columns whose values are groups: those of `monitor.groups`, or those that the data call sensitive."""
    sensitive = [name for section in project.data.values() for name in section.sensitive]
    return list(dict.fromkeys(project.monitor.groups or sensitive))


def can_be_estimated(task: Task, metric: str) -> bool:
    """Whether the metric can be estimated before outcomes are known: not for lists of items, nor for r2."""
    return task in ("binary", "multiclass") or (task in ("regression", "forecast") and metric != "r2")


def share_budget(project: Project) -> AlarmBudget:
    """The equal part of the project's budget that each of its watches may spend."""
    monitor = project.monitor
    windows = max(monitor.false_alarms.per / monitor.window, 1.0)
    return AlarmBudget(monitor.false_alarms.count, windows).split(len(list_watches(project)))

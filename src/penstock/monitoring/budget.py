"""The false-alarm budget: from what the operator allows to the level of each test.

`false_alarms = "N per D"` with windows of length W leaves T = D / W windows in which at most N false alarms are
expected. The watches of a project (`list_watches`) share N equally. Expectations add up, so whatever the watches have
to do with one another, all of them together raise at most N. Below, N is the share of one watch; a watch of several
detectors, as of several groups, gives each an equal part of its share, for the same reason.

**Inputs.** The t-th window that is compared with one reference has the level

    alpha_t = min( N / T,  6 N / (pi t)^2 )

Half of it is for the window alone. A small shift is not seen in one window and plain in many, so each 4th window is
also put together with the 3 before it, and each 16th with the 15 before it. A quarter of the level is for either, saved
up over the windows that are put together: the block that ends with window t is tested at s alpha_t / 4, with s = 4 or
16. Holm's procedure shares each level between the columns; where the project names segments, a quarter of each is
shared among all columns of all of them (`drift.py`). Whatever the dependence between tests, expectations add up.
alpha_t never grows with t, so s alpha_t is at most the sum of alpha over the block, all tests up to window t expect at
most alpha_1 + ... + alpha_t false alarms, and

- one reference, over its whole life, alarms falsely at most N times, as 6 / (pi t)^2 sums to one. All windows share the
  sampling error of their reference, so their false alarms would come together; this is what the second term bounds;
- in any stretch of length D at most T * N / T = N tests alarm falsely, however often the reference changes, and at most
  (3 + 15) / 4 * N / T more where a block began before the stretch.

Besides significance nothing is asked: no rule of thumb says how large a shift must be. How large it is stands beside
the p-value (`ColumnDrift.distance`).

**Estimated performance.** The t-th estimate of a model version is held against its first calibration at the same level
alpha_t, for the same reason: all estimates share the error of that calibration.

**Detectors of harm** (loss, calibration, gaps between groups, latency, errors) alarm when their evidence reaches A;
they then have seen at least A rows on average where nothing is wrong (stats.sequential). With m rows in a window,
A = m T / N makes that one false alarm in D / N. What they put up with is the project's own figure (latency, errors:
`deploy.guard`), or else the lower of two bounds of what the model's own past shows (`decay.py`), each at level N / 2T:
the chance that the bar is ever too low is one window's worth of the budget. A loss that falls and goes back to where it
was leaves the bar where it was.

**The bar of the project** (`at_least`, `at_most`) is missed when the interval of a window at level N / T lies wholly
beyond it.
"""

import math

from msgspec import Struct

from penstock.core.project.types import Project, Task

HIGHEST_LEVEL = 0.1  # a budget of many alarms per window would otherwise ask for tests that decide nothing
SPANS = {1: 0.5, 4: 0.25, 16: 0.25}  # how many windows are tested together, and the part of the level that is for it
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
        """The level of all tests of the `number`-th window (from 1) against one reference, were they alike."""
        spending = 6 * self.alarms / (math.pi * number) ** 2
        return max(min(self.rate, spending), LOWEST_LEVEL)

    def levels(self, number: int) -> dict[int, float]:
        """The level of each test that is made in the `number`-th window, by how many windows it puts together."""
        own = {span: share * span * self.level(number) for span, share in SPANS.items() if number % span == 0}
        return {span: min(level, HIGHEST_LEVEL) for span, level in own.items()}

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


def list_segment_columns(project: Project) -> list[str]:
    """The columns whose segments are watched for drift: those of groups, and those of `evaluation.slices`."""
    return list(dict.fromkeys([*list_group_columns(project), *project.evaluation.slices]))


def can_be_estimated(task: Task, metric: str) -> bool:
    """Whether the metric can be estimated before outcomes are known: not for lists of items, nor for r2."""
    return task in ("binary", "multiclass") or (task in ("regression", "forecast") and metric != "r2")


def share_budget(project: Project) -> AlarmBudget:
    """The equal part of the project's budget that each of its watches may spend."""
    monitor = project.monitor
    windows = max(monitor.false_alarms.per / monitor.window, 1.0)
    return AlarmBudget(monitor.false_alarms.count, windows).split(len(list_watches(project)))

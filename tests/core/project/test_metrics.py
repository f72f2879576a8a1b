"""The metric names of the project file against those that can be computed."""

from penstock.core.project.metrics import METRICS, metric_problem
from penstock.stats import metrics as computed


def test_every_name_allowed_can_be_computed() -> None:
    for task, names in METRICS.items():
        for name in names:
            assert task in computed.find_metric(name).tasks


def test_every_metric_that_can_be_computed_may_be_named() -> None:
    problems = [
        (task, name)
        for task, names in METRICS.items()
        for name in (
            *computed.default_metrics(task),
            *(n for n, metric in computed.METRICS.items() if task in metric.tasks),
        )
        if metric_problem(name, task)
    ]
    assert problems == []

"""Several runs side by side."""

from collections.abc import Sequence

from penstock.tracking.types import ComparedMetric, ComparedParam, Comparison, Run


def compare(runs: Sequence[Run]) -> Comparison:
    """Parameters and latest metrics of the runs by key, in the order of the runs."""
    param_keys = sorted({key for run in runs for key in run.params})
    metric_keys = sorted({key for run in runs for key in run.metrics})
    params = (tuple(run.params.get(key) for run in runs) for key in param_keys)
    metrics = (tuple(run.metrics[key].value if key in run.metrics else None for run in runs) for key in metric_keys)
    return Comparison(
        tuple(runs),
        tuple(ComparedParam(key, values, len(set(values)) > 1) for key, values in zip(param_keys, params, strict=True)),
        tuple(
            ComparedMetric(key, values, len(set(values)) > 1) for key, values in zip(metric_keys, metrics, strict=True)
        ),
    )

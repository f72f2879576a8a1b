"""What callers log, checked and in the form of the tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from penstock.core.errors import InvalidInputError
from penstock.core.ids import RunId
from penstock.tracking.names import check_key, check_value
from penstock.tracking.types import Metric

BATCH_LIMIT = 10_000  # metrics


def to_rows(run_id: RunId, metrics: Sequence[Metric], now: datetime) -> list[dict[str, Any]]:
    """The points as rows of `metric_points`; those without a time happened `now`.

    Raises:
        InvalidInputError: a key or step that cannot be kept, or too many points.
    """
    if len(metrics) > BATCH_LIMIT:
        raise InvalidInputError(
            f"a batch of {len(metrics)} metrics is too large", hint=f"send {BATCH_LIMIT} at a time", field="metrics"
        )
    rows = []
    for place, metric in enumerate(metrics):
        check_key(metric.key, f"metrics[{place}].key")
        if not -(2**63) <= metric.step < 2**63:
            field = f"metrics[{place}].step"
            raise InvalidInputError(f"{field}: step {metric.step} does not fit in 64 bits", field=field)
        at = metric.at or now
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        rows.append({"run_id": run_id, "key": metric.key, "step": metric.step, "at": at, "value": metric.number})
    return rows


def check_texts(texts: dict[str, str], what: str) -> dict[str, str]:
    """The parameters or tags themselves, when each key and value can be kept.

    Raises:
        InvalidInputError: one cannot; `field` names it.
    """
    for key, value in texts.items():
        check_value(value, f"{what}[{check_key(key, what)!r}]")
    return texts

"""What callers log, checked and in the form of the tables."""

from collections.abc import Sequence
from datetime import UTC, datetime

from penstock.core.errors import InvalidInputError
from penstock.storage.columns import to_microseconds
from penstock.tracking.names import check_key
from penstock.tracking.places import BATCH_LIMIT
from penstock.tracking.tables import Point, to_sortable
from penstock.tracking.types import Metric


def to_points(metrics: Sequence[Metric], now: datetime) -> list[Point]:
    """The points as the tables keep them; those without a time happened `now`.

    Raises:
        InvalidInputError: a key or step that cannot be kept, or too many points.
    """
    if len(metrics) > BATCH_LIMIT:
        raise InvalidInputError(
            f"a batch of {len(metrics)} metrics is too large", hint=f"send {BATCH_LIMIT} at a time", field="metrics"
        )
    points = []
    for place, metric in enumerate(metrics):
        check_key(metric.key, f"metrics[{place}].key")
        if not -(2**63) <= metric.step < 2**63:
            field = f"metrics[{place}].step"
            raise InvalidInputError(f"{field}: step {metric.step} does not fit in 64 bits", field=field)
        at = metric.at or now
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        points.append((metric.key, metric.step, to_microseconds(at), to_sortable(metric.number)))
    return points

"""Outcomes that name a request by its caller's id: which predictions these are is found in the prediction log."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from penstock.catalogue.services import Services
from penstock.core.ids import PredictionId
from penstock.predictions.caller_ids import find_predictions
from penstock.predictions.types import Segment

_PAGE = 1_000


def find_by_caller_id(
    services: Services, deployment: str, caller_ids: Iterable[str], since: datetime
) -> dict[str, PredictionId]:
    """The predictions that callers know by ids of their own; those that are not in the log yet stay out.

    Args:
        services: where the log is.
        deployment: who answered.
        caller_ids: such as came with `X-Request-Id`; of a request with several rows, each with its place, as `id/2`.
        since: what came in before is not looked at.
    """
    segments = list(_list_segments(services, deployment, since))
    return find_predictions(services.objects, reversed(segments), caller_ids)


def _list_segments(services: Services, deployment: str, since: datetime) -> Iterator[Segment]:
    after = 0
    while page := services.predictions.list_segments(deployment, after=after, received_since=since, limit=_PAGE):
        yield from page
        after = page[-1].number

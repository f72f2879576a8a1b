"""Logged models on their way: as the source has them, and as they are here."""

from collections.abc import Iterator, Sequence

from penstock.catalogue.services import Services
from penstock.core.errors import NotFoundError
from penstock.core.ids import ExperimentId
from penstock.sdk.mlflow_import.runs import USER_LIMIT, stays_at
from penstock.sdk.mlflow_import.source import SourceLoggedModel
from penstock.storage.columns import to_microseconds
from penstock.tracking.logged_models.points import ModelPoint
from penstock.tracking.logged_models.take_over_verbs import TakenLoggedModel
from penstock.tracking.logged_models.types import LoggedModel, ModelMetric
from penstock.tracking.places import BATCH_LIMIT
from penstock.tracking.tables import to_sortable
from penstock.tracking.taking_over import to_moment

_USER = "mlflow.user"
_Point = tuple[str, int, int, int, str, str, str]


def to_taken_model(model: SourceLoggedModel, experiment_id: ExperimentId, *, keeps_uri: bool) -> TakenLoggedModel:
    """A logged model as penstock keeps it; with `keeps_uri` its files stay where they are, if clients can go there."""
    return TakenLoggedModel(
        id=model.id,
        experiment_id=experiment_id,
        name=model.name,
        model_type=model.model_type,
        source_run_id=model.source_run_id,
        status=model.status,
        status_message=model.status_message,
        artifact_uri=stays_at(model.artifact_uri) if keeps_uri else "",
        created_at=to_moment(model.created_ms),
        updated_at=to_moment(model.updated_ms),
        created_by=model.tags.get(_USER, "")[:USER_LIMIT],
        params=model.params,
        tags=model.tags,
    )


def find_logged_model(services: Services, model_id: str) -> LoggedModel | None:
    """A logged model that is here, deleted or not."""
    try:
        return services.logged_models.get_logged_model(model_id, with_deleted=True)
    except NotFoundError:
        return None


def send_model_points(services: Services, model_id: str, points: Sequence[ModelPoint]) -> None:
    """Write what was measured of a logged model, in batches."""
    for start in range(0, len(points), BATCH_LIMIT):
        batch = list(points[start : start + BATCH_LIMIT])
        services.logged_models.take_over_logged_model_points(model_id, batch)


def compare_logged_model(model: SourceLoggedModel, here: LoggedModel | None) -> Iterator[str]:
    """What differs between a logged model in the source and here."""
    if here is None:
        yield "it is missing"
        return
    there = (model.name, model.model_type, model.source_run_id, model.status, model.status_message)
    if there != (here.name, here.model_type, here.source_run_id, here.status, here.status_message):
        yield "name, type, source run or status differ"
    if (to_moment(model.created_ms), to_moment(model.updated_ms)) != (here.created_at, here.updated_at):
        yield "its times differ"
    if model.params != here.params:
        yield "its parameters differ"
    if model.tags != here.tags:
        yield "its tags differ"
    if model.is_deleted != (here.deleted_at is not None):
        yield "it is deleted on one side only"
    wanted = {_place(point) for point in model.points}
    held = {_place_here(metric) for metric in here.metrics}
    if wanted != held:
        yield f"{len(held)} measurements here and {len(wanted)} in the source, {len(wanted - held)} of them missing"


def _place(point: ModelPoint) -> _Point:
    dataset = (point.dataset_name, point.dataset_digest)
    return (point.key, point.step, point.at, point.value, point.run_id, *dataset)


def _place_here(held: ModelMetric) -> _Point:
    dataset = (held.dataset_name, held.dataset_digest)
    return (held.key, held.step, to_microseconds(held.at), to_sortable(float(held.value)), held.run_id, *dataset)

"""The verbs that take over logged models of another tracker as they are: ids, times and measurements included."""

from datetime import datetime

from msgspec import Struct, structs

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import ExperimentId, Ref, RunId
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs
from penstock.tracking.experiment_store import ExperimentStore
from penstock.tracking.locations import experiment_location
from penstock.tracking.logged_models.names import check_model_id, check_model_name, check_text
from penstock.tracking.logged_models.points import ModelPoint, ModelPoints, no_model
from penstock.tracking.logged_models.store import LoggedModelStore
from penstock.tracking.logged_models.types import LoggedModel, LoggedModelStatus
from penstock.tracking.names import check_key, check_texts
from penstock.tracking.new_runs import no_experiment
from penstock.tracking.places import BATCH_LIMIT, check_place
from penstock.tracking.store import TrackingStore


class TakenLoggedModel(Struct, frozen=True, kw_only=True):
    """A logged model as another tracker knows it, without measurements and files."""

    id: str
    experiment_id: ExperimentId
    name: str
    model_type: str = ""
    source_run_id: str = ""
    status: LoggedModelStatus
    status_message: str = ""
    artifact_uri: str = ""  # empty: in the server's own store
    created_at: datetime
    updated_at: datetime
    created_by: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class TakeOverVerbs:
    """Taking over; every verb may be repeated, after a stop at any point."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = LoggedModelStore(db)
        self._runs = TrackingStore(db)
        self._homes = ExperimentStore(db)
        self._points = ModelPoints(db)

    @logs
    def take_over_logged_model(self, tx: Transaction, model: TakenLoggedModel) -> None:
        """Make a logged model, or bring the one of that id up to date; it is not deleted until it is settled.

        Raises:
            NotFoundError: no such experiment.
            ConflictError: the id belongs to a model of another experiment, or a parameter has another value here.
            InvalidInputError: something of it cannot be kept.
        """
        home = self._homes.find(tx, model.experiment_id)
        if home is None:
            raise no_experiment(model.experiment_id)
        location = experiment_location(home.id, home.artifact_location)
        wanted = LoggedModel(
            id=check_model_id(model.id),
            experiment_id=home.id,
            name=check_model_name(model.name),
            model_type=check_text(model.model_type, "model_type"),
            source_run_id=check_key(model.source_run_id, "source_run_id") if model.source_run_id else "",
            status=model.status,
            status_message=check_text(model.status_message, "status_message", 1_000),
            artifact_uri=model.artifact_uri or f"{location}/models/{model.id}/artifacts",
            created_at=model.created_at,
            updated_at=model.updated_at,
            created_by=check_text(model.created_by, "created_by", 200),
            params=check_texts(model.params, "params"),
            tags=check_texts(model.tags, "tags"),
        )
        known = self._store.find(tx, model.id)
        if known is None:
            self._store.add(tx, wanted)
            if model.source_run_id and self._runs.find_status(tx, RunId(model.source_run_id)) is not None:
                tx.link(Ref("run", model.source_run_id), wanted.ref, "logged")
            tx.record("logged_models.take_over_logged_model", wanted.ref, name=wanted.name)
            return
        if known.experiment_id != home.id:
            raise ConflictError(f"logged model {known.id} belongs to experiment {known.experiment_id} here")
        (known,) = self._store.fill(tx, [known])
        for key, value in known.params.items():
            if wanted.params.get(key, value) != value:
                raise ConflictError(f"parameter {key!r} of logged model {known.id} is {value[:200]!r} here")
        self._store.replace(tx, wanted)
        for key in known.tags.keys() - wanted.tags.keys():
            self._store.remove_tag(tx, known.id, key)

    @logs
    def take_over_logged_model_points(self, tx: Transaction, model_id: str, points: list[ModelPoint]) -> None:
        """Add measurements to a model that was taken over; those that are there already stay as they are."""
        if len(points) > BATCH_LIMIT:
            raise InvalidInputError(f"{len(points)} points are too many", hint=f"send {BATCH_LIMIT} at a time")
        if self._store.find(tx, model_id) is None:
            raise no_model(model_id)
        for point in points:
            check_key(point.key, "points.key")
            check_text(point.run_id, "points.run_id", 64)
            check_text(point.dataset_name, "points.dataset_name")
            check_text(point.dataset_digest, "points.dataset_digest", 64)
            check_place(point.step, point.at, point.value)
        self._points.add(tx.connection, [structs.replace(point, model_id=model_id) for point in points])

    @logs
    def settle_logged_model(self, tx: Transaction, model_id: str, deleted_at: datetime | None = None) -> None:
        """Give a model whose points and files are all there the moment of its deletion; None: it is not deleted."""
        known = self._store.find(tx, model_id)
        if known is None:
            raise no_model(model_id)
        if known.deleted_at != deleted_at:
            self._store.replace(tx, structs.replace(known, deleted_at=deleted_at))
            tx.record("logged_models.settle_logged_model", known.ref, before=known.deleted_at, after=deleted_at)

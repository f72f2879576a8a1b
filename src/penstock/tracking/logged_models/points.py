"""How the metric points of logged models are written: together with the points of the runs that measured them."""

from collections.abc import Iterable

from blake3 import blake3
from msgspec import Struct
from sqlalchemy import Connection

from penstock.core.errors import NotFoundError
from penstock.storage.database import Database
from penstock.storage.records import Prepared, fetch, marks
from penstock.tracking.logged_models.tables import logged_model_metrics

_CHUNK = 500  # ids in one query
_KEY = ("model_id", "key", "run_id", "dataset", "step", "at", "value")


class ModelPoint(Struct, frozen=True, kw_only=True):
    """A point that a run measured of a logged model, in the form of the table."""

    model_id: str
    run_id: str
    key: str
    step: int
    at: int  # microseconds since 1970
    value: int  # as `to_sortable` gives it
    dataset_name: str = ""
    dataset_digest: str = ""


class ModelPoints:
    """Adds points of logged models; one that is sent again is stored once, and none needs its model to be there."""

    def __init__(self, db: Database) -> None:
        statement = db.upsert(logged_model_metrics, keys=_KEY, update=())
        self._add = Prepared(db.engine.dialect, statement, (*_KEY, "dataset_name", "dataset_digest"))

    def add(self, connection: Connection, points: Iterable[ModelPoint]) -> int:
        """Write the points in the transaction that is open; returns how many were new."""
        return self._add.many(connection, [_to_row(point) for point in points])

    def find_models(self, connection: Connection, ids: Iterable[str]) -> set[str]:
        """Those of these ids that name a model."""
        found: set[str] = set()
        wanted = list(ids)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            query = f"SELECT id FROM logged_models WHERE id IN ({marks(len(chunk))})"
            found.update(row[0] for row in fetch(connection, query, chunk))
        return found


def no_model(model_id: str) -> NotFoundError:
    """What to say of a logged model that is not there."""
    return NotFoundError(f"Logged model with ID '{model_id[:200]}' not found")


def dataset_key(name: str, digest: str) -> str:
    """What tells a dataset from others in the key of a point; empty for none."""
    return blake3(f"{len(name)}:{name}{digest}".encode()).hexdigest(16) if name or digest else ""


def _to_row(point: ModelPoint) -> tuple[str | int, ...]:
    dataset = dataset_key(point.dataset_name, point.dataset_digest)
    place = (point.step, point.at, point.value)
    return (point.model_id, point.key, point.run_id, dataset, *place, point.dataset_name, point.dataset_digest)

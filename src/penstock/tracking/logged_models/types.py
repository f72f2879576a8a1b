"""The records of logged models."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from penstock.core.ids import ExperimentId, Ref
from penstock.tracking.types import NonFinite


class LoggedModelStatus(StrEnum):
    """Where the upload of a logged model stands."""

    PENDING = "pending"
    READY = "ready"
    UPLOAD_FAILED = "upload_failed"


class ModelMetric(Struct, frozen=True, kw_only=True):
    """One measured value of a logged model."""

    key: str
    value: float | NonFinite
    step: int
    at: datetime  # UTC
    run_id: str  # which measured it
    dataset_name: str = ""  # what it was measured on; empty when nobody said
    dataset_digest: str = ""


class LoggedModel(Struct, frozen=True, kw_only=True):
    """A model that was logged, by a run or on its own; it may become a version of a registered model."""

    id: str  # m- and 32 hexadecimal digits
    experiment_id: ExperimentId
    name: str
    model_type: str = ""
    source_run_id: str = ""  # the run that made it; empty for none
    status: LoggedModelStatus = LoggedModelStatus.PENDING
    status_message: str = ""
    artifact_uri: str
    created_at: datetime
    updated_at: datetime
    created_by: str
    deleted_at: datetime | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: tuple[ModelMetric, ...] = ()  # by key, then time and step

    @property
    def ref(self) -> Ref:
        """How other nouns point at this model."""
        return Ref("logged-model", self.id)


class DatasetFilter(Struct, frozen=True, kw_only=True):
    """Which measurements count in a search: those on this dataset; an empty digest means any."""

    name: str
    digest: str = ""


class ModelOrder(Struct, frozen=True, kw_only=True):
    """One term of the order of a search: an attribute, or `metrics.KEY` on a dataset where one is named."""

    field: str
    is_ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModelPage(Struct, frozen=True):
    """A part of what a search found."""

    models: tuple[LoggedModel, ...]
    next: str  # give it as `after` to go on; empty on the last page

"""The records of what runs read and made."""

from msgspec import Struct

NAME_LIMIT = 500  # characters; the limits of MLflow
DIGEST_LIMIT = 36
SOURCE_LIMIT = 65_535
SCHEMA_LIMIT = 1_048_575
PROFILE_LIMIT = 16_777_215


class LoggedDataset(Struct, frozen=True, kw_only=True):
    """A dataset as a run described it; name and digest tell it from others of its experiment."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetInput(Struct, frozen=True, kw_only=True):
    """A dataset that a run read, and what for."""

    dataset: LoggedDataset
    tags: dict[str, str] = {}


class ModelOutput(Struct, frozen=True, kw_only=True):
    """A logged model that a run made, and at which step."""

    model_id: str
    step: int = 0


class RunInputs(Struct, frozen=True, kw_only=True):
    """Everything that a run read."""

    datasets: tuple[DatasetInput, ...] = ()
    models: tuple[str, ...] = ()  # ids of logged models


class DatasetSummary(Struct, frozen=True, kw_only=True):
    """A dataset that runs of an experiment read in one context."""

    experiment_id: int
    name: str
    digest: str
    context: str = ""  # such as training; empty when nobody said

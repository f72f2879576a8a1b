"""What an import did, and how what arrived compares with where it came from."""

from msgspec import Struct


class ImportedExperiment(Struct, frozen=True, kw_only=True):
    """An experiment, with what of it is here now, after its comparison with the source."""

    name: str
    id: int = 0  # here; 0 where nothing is written
    taken: int = 0  # runs that were written this time
    known: int = 0  # runs that were here already, just like that
    runs: int = 0
    params: int = 0
    tags: int = 0
    metrics: int = 0
    points: int = 0
    files: int = 0
    size_bytes: int = 0
    logged_models: int = 0


class ImportReport(Struct, frozen=True, kw_only=True):
    """The whole of it; an import is complete when there are no differences."""

    source: str
    into: str  # empty where nothing is written
    experiments: tuple[ImportedExperiment, ...] = ()
    models: int = 0
    versions: int = 0
    running: tuple[str, ...] = ()  # runs that have not ended in the source and may get more
    differences: tuple[str, ...] = ()  # each names what differs between source and penstock
    skipped: tuple[str, ...] = ()  # artifacts that cannot be read from here, and why
    others: dict[str, int] = {}  # what the source has and nobody takes over: how many of each kind

    @property
    def is_complete(self) -> bool:
        """Whether everything that could be read is here."""
        return not self.differences

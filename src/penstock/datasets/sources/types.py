"""What a source gives."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from penstock.datasets.types import Provenance

PART_NAME = "part-{:06}.parquet"  # what each ingestion of a query adds


class Fetched(Struct, frozen=True):
    """The files of a source, by the path each has in the tree of a version, and where they came from.
    They may be gone when whoever fetched them is done.
    """

    files: Mapping[str, Path]
    provenance: Provenance
    is_unchanged: bool = False  # the source says that it is what it was; then there are no files

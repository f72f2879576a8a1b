"""Reads the rows of one part of a split."""

import io
from collections.abc import Sequence

import polars as pl

from penstock.core.codec import nearest_hint
from penstock.core.errors import NotFoundError
from penstock.datasets.frames import read_version
from penstock.datasets.splits.make import PARTS_FILE
from penstock.datasets.splits.types import Split
from penstock.datasets.types import DatasetVersion
from penstock.storage.objects.stored import StoredObjects


def read_part(
    objects: StoredObjects, version: DatasetVersion, split: Split, part: str, *, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The rows of a part, in their order.

    Args:
        objects: where the files are kept.
        version: the one that was split.
        split: how.
        part: its name.
        columns: only these; None for all.

    Raises:
        NotFoundError: the split has no such part.
        CorruptDataError: a file is not what was stored.
    """
    names = [side.name for side in split.parts]
    if part not in names:
        raise NotFoundError(f"split {split.name!r} has no part {part!r}", hint=nearest_hint(part, names))
    stored = objects.get_bytes(objects.find_file(split.tree, PARTS_FILE).digest)
    number = pl.read_parquet(io.BytesIO(stored)).get_column("part")
    return read_version(objects, version, columns=columns).filter(number == names.index(part))

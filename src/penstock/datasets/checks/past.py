"""What a table is compared with: the versions before it, and other datasets."""

from collections.abc import Callable, Iterator, Sequence

import polars as pl
from msgspec import Struct

from penstock.datasets.frames import check_column, open_version
from penstock.datasets.profile import profile_table
from penstock.datasets.types import DatasetVersion, Profile
from penstock.storage.objects.stored import StoredObjects

GetVersion = Callable[[str, int | None], DatasetVersion]
FindReference = Callable[[int | None], tuple[int, Profile] | None]
ReadColumns = Callable[[str, Sequence[str]], Iterator[pl.DataFrame]]


class Past(Struct, frozen=True, kw_only=True):
    """What a table is compared with.

    Attributes:
        previous: the version before, whose schema must still hold; None for the first.
        reference: the profile of a version by its number, or of the one before; None when there is none.
        read_columns: the columns of another dataset, batch by batch; NotFoundError when there is no such dataset.
    """

    previous: DatasetVersion | None = None
    reference: FindReference | None = None
    read_columns: ReadColumns | None = None


def read_past(get_version: GetVersion, objects: StoredObjects, name: str, previous: DatasetVersion | None) -> Past:
    """What a dataset is compared with: its version before, the ones its checks name, and other datasets."""

    def reference(number: int | None) -> tuple[int, Profile] | None:
        version = previous if number is None else get_version(name, number)
        return None if version is None else (version.version, whole_profile(objects, version))

    def read_columns(dataset: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        version = get_version(dataset, None)
        for column in columns:
            check_column(column, version.schema.names, f"dataset {dataset!r}")
        with open_version(objects, version) as table:
            for batch in table.batches(columns):
                yield batch.frame

    return Past(previous=previous, reference=reference, read_columns=read_columns)


def whole_profile(objects: StoredObjects, version: DatasetVersion) -> Profile:
    """The profile of a version with all it may hold; one that was kept with less is made anew."""
    is_whole = all(
        column.quantiles or column.distinct in (0, None)
        for column in version.profile.columns
        if column.kind in ("integer", "number", "date", "datetime")
    )
    if is_whole:
        return version.profile
    with open_version(objects, version) as table:
        return profile_table(table)

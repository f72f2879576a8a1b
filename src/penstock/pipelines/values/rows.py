"""Rows of a dataset version that a step reads: not a copy, but which files and which span of time."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from msgspec import Struct, structs

from penstock.core import codec
from penstock.core.clock import format_duration
from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import read_version, times_of
from penstock.datasets.types import DatasetVersion, Profile, Roles
from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore

WEIGHT = "sample_weight"  # the column
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Rows(Struct, frozen=True):
    """The rows of a version from `since` on and before `until`.

    With a `half_life` they get a column `sample_weight`: 1 of the newest row, half of one that is so much older. With
    `most` they are about so many at most: those of some values of the column `by`, or evenly spread ones.
    """

    version: DatasetVersion
    since: datetime | None = None
    until: datetime | None = None
    half_life: timedelta | None = None
    most: int | None = None
    by: str | None = None


def write(value: Rows, objects: ObjectStore) -> StoredValue:
    """Keep which rows are meant; what says nothing of their content is left out, so that equal rows are equal."""
    version = value.version
    bare = structs.replace(
        version,
        version=0,
        source="",
        roles=Roles(time=version.roles.time),
        profile=Profile(0, ()),
        created_at=_NEVER,
        created_by="",
    )
    digest = objects.put_bytes(codec.encode(structs.replace(value, version=bare)))
    about = f"{version.dataset}/{version.version}"
    if value.since is not None:
        about += f" from {value.since:%Y-%m-%d %H:%M}"
    if value.until is not None:
        about += f" until {value.until:%Y-%m-%d %H:%M}"
    if value.most is not None:
        about += f", at most {value.most:,} of them"
    if value.half_life is not None:
        about += f", weighted by age ({format_duration(value.half_life)} for half)"
    return StoredValue(kind="rows", digest=digest, about=about)


def read(stored: StoredValue, objects: ObjectStore) -> pl.DataFrame:
    """The rows."""
    rows: Any = codec.decode(objects.get_bytes(stored.key), Rows)
    frame = read_version(objects, rows.version, since=rows.since, until=rows.until)
    if rows.most is not None:
        frame = _thin(frame, rows.by, rows.most)
    return frame if rows.half_life is None else _weigh(frame, rows.version, rows.half_life)


def _thin(frame: pl.DataFrame, by: str | None, most: int) -> pl.DataFrame:
    """Every n-th row, or all rows of every n-th value of a column: a customer's belong together."""
    nth = math.ceil(frame.height / most)
    if nth <= 1:
        return frame
    return frame.gather_every(nth) if by is None else frame.filter(frame[by].rank("dense") % nth == 0)


def _weigh(frame: pl.DataFrame, version: DatasetVersion, half_life: timedelta) -> pl.DataFrame:
    if WEIGHT in frame.columns:
        raise InvalidInputError(
            f"dataset {version.dataset!r} has a column {WEIGHT!r} already, which the weighted strategy would write",
            hint="rename it, or take another strategy in [retrain]",
        )
    times = times_of(frame.get_column(version.roles.time)) if version.roles.time else None
    if times is None:
        raise InvalidInputError(
            f"rows of dataset {version.dataset!r} cannot be weighted by age: it has no column of time",
            hint="set time in its section of penstock.toml",
        )
    age = pl.DataFrame({"at": times}).select((pl.col("at").max() - pl.col("at")).dt.total_seconds()).to_series()
    age_s = age.fill_null(strategy="max")  # a row without a time counts as the oldest
    return frame.with_columns((0.5 ** (age_s / half_life.total_seconds())).alias(WEIGHT))

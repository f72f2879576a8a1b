"""Rows of a dataset version that a step reads: not a copy, but which files and which span of time."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
from msgspec import Struct, structs

from penstock.core import codec
from penstock.datasets.frames import read_version
from penstock.datasets.types import DatasetVersion, Profile, Roles
from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Rows(Struct, frozen=True):
    """The rows of a version from `since` on and before `until`."""

    version: DatasetVersion
    since: datetime | None = None
    until: datetime | None = None


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
    return StoredValue(kind="rows", digest=digest, about=about)


def read(stored: StoredValue, objects: ObjectStore) -> pl.DataFrame:
    """The rows."""
    rows: Any = codec.decode(objects.get_bytes(stored.key), Rows)
    return read_version(objects, rows.version, since=rows.since, until=rows.until)

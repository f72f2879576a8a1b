"""The references of model versions as sketches: made once of a version's reference sample, and kept."""

import io

import polars as pl

from penstock.core.ids import Digest
from penstock.core.project.types import Project
from penstock.monitoring.service import MonitoringService
from penstock.monitoring.sketches import TableSketch, decode_sketch, encode_sketch, sketch_frame
from penstock.monitoring.types import ReferenceSketch
from penstock.storage.objects.object_store import ObjectStore


class References:
    """Finds the sketch that the windows of a version are compared with. Not safe to share between threads."""

    def __init__(self, monitoring: MonitoringService, objects: ObjectStore, project: Project) -> None:
        self._monitoring = monitoring
        self._objects = objects
        self._deployment = project.name
        self._key = project.deploy.key
        self._held: dict[int, TableSketch] = {}  # by version; a reference sample never changes

    def get_sketch(self, version: int, sample: Digest) -> TableSketch:
        """The sketch of a reference sample; where none is kept yet it is made.

        Args:
            version: of the model.
            sample: its reference sample, a Parquet object.
        """
        if version not in self._held:
            kept = self._monitoring.find_reference(self._deployment, version)
            if kept is None or (kept.sample, kept.key) != (sample, self._key):
                kept = self._make(version, sample)
            self._held[version] = decode_sketch(self._objects.get_bytes(kept.sketch), str(kept.ref))
        return self._held[version]

    def _make(self, version: int, sample: Digest) -> ReferenceSketch:
        rows = pl.read_parquet(io.BytesIO(self._objects.get_bytes(sample)))
        digest = self._objects.put_bytes(encode_sketch(sketch_frame(rows, keys_of(rows, self._key))))
        made = ReferenceSketch(
            deployment=self._deployment, version=version, sample=sample, key=self._key, sketch=digest
        )
        self._monitoring.record_reference(made)
        return made


def keys_of(rows: pl.DataFrame, key: str | None) -> list[str] | None:
    """Which rows belong together by a column; None where there is no such column."""
    if key is None or key not in rows.columns:
        return None
    return own_keys(rows[key].cast(pl.String).fill_null(""))


def own_keys(keys: pl.Series) -> list[str]:
    """The keys, with a name of its own for each row that has none."""
    return [key or f"\0{number}" for number, key in enumerate(keys)]

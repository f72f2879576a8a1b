"""The references of model versions as sketches: made once of a version's reference sample, and kept."""

import io

import polars as pl

from penstock.core.ids import Digest
from penstock.core.project.types import Project
from penstock.monitoring.budget import list_segment_columns
from penstock.monitoring.service import MonitoringService
from penstock.monitoring.sketches import (
    TableSketch,
    decode_sketch,
    encode_sketch,
    explain_uncut,
    find_cuts,
    forget_rare,
    sketch_reference,
)
from penstock.monitoring.types import ReferenceSketch
from penstock.registry.types import ModelVersion
from penstock.storage.objects.object_store import ObjectStore


class References:
    """Finds the sketch that the windows of a version are compared with. Not safe to share between threads."""

    def __init__(self, monitoring: MonitoringService, objects: ObjectStore, project: Project) -> None:
        self._monitoring = monitoring
        self._objects = objects
        self._deployment = project.name
        self._key = project.deploy.key
        self._columns = list_segment_columns(project)
        self._held: dict[int, TableSketch] = {}  # by version; a reference sample never changes

    def find_sketch(self, model: ModelVersion) -> TableSketch | None:
        """The sketch of a version's reference sample, made where none is kept yet; None where it has no sample."""
        if model.reference is None:
            return None
        if model.version not in self._held:
            self._held[model.version] = self._find_kept(model.version, model.reference) or self._make(
                model.version, model.reference
            )
        return self._held[model.version]

    def forget_rows(self, model: ModelVersion) -> None:
        """Let the sketch stand for the sample of a version that is about to go, without the names of rare values."""
        sketch = self.find_sketch(model)
        if sketch is not None and model.reference is not None:
            self._record(model.version, model.reference, forget_rare(sketch), is_final=True)

    def _find_kept(self, version: int, sample: Digest) -> TableSketch | None:
        """The sketch that is kept, unless the project now names another key or cuts the rows by other columns."""
        kept = self._monitoring.find_reference(self._deployment, version)
        if kept is None or not (kept.is_final or (kept.sample, kept.key) == (sample, self._key)):
            return None
        sketch = decode_sketch(self._objects.get_bytes(kept.sketch), str(kept.ref))
        if kept.is_final:
            return sketch
        cuts, uncut = tuple(held.cut for held in sketch.segments), explain_uncut(sketch.columns, self._columns)
        return sketch if (cuts, sketch.uncut) == (find_cuts(sketch.columns, self._columns), uncut) else None

    def _make(self, version: int, sample: Digest) -> TableSketch:
        rows = pl.read_parquet(io.BytesIO(self._objects.get_bytes(sample)))
        sketch = sketch_reference(rows, self._columns, keys_of(rows, self._key))
        self._record(version, sample, sketch)
        return sketch

    def _record(self, version: int, sample: Digest, sketch: TableSketch, *, is_final: bool = False) -> None:
        digest = self._objects.put_bytes(encode_sketch(sketch))
        self._monitoring.record_reference(
            ReferenceSketch(
                deployment=self._deployment,
                version=version,
                sample=sample,
                key=self._key,
                sketch=digest,
                is_final=is_final,
            )
        )


def keys_of(rows: pl.DataFrame, key: str | None) -> list[str] | None:
    """Which rows belong together by a column; None where there is no such column."""
    if key is None or key not in rows.columns:
        return None
    return own_keys(rows[key].cast(pl.String).fill_null(""))


def own_keys(keys: pl.Series) -> list[str]:
    """The keys, with a name of its own for each row that has none."""
    return [key or f"\0{number}" for number, key in enumerate(keys)]

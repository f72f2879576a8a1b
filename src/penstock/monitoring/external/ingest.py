"""Takes in predictions that were made elsewhere, exactly once: segments are named by what they hold.

The same rows logged again - a file imported twice, a call repeated after a timeout - give the same segments under the
same names, and change nothing. What a row turned out to be is no part of its name, so a file that comes again with
labels filled in adds just those.
"""

import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import Protocol

import polars as pl
from msgspec import Struct, structs

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.ids import PredictionId, SegmentId
from penstock.core.project.types import MonitorSection, OutcomesSection, Task
from penstock.monitoring.external.rows import ReadRows, Roles, find_classes, read_rows
from penstock.monitoring.external.service import ExternalService, merge_classes
from penstock.monitoring.external.types import ExternalDeployment, ExternalVersion
from penstock.predictions.segment_file import describe_frame, encode_frame
from penstock.predictions.service import PredictionService
from penstock.predictions.types import Outcome, Segment
from penstock.registry.format.signature import infer_columns
from penstock.registry.format.types import Label
from penstock.storage.objects.object_store import ObjectStore

ROWS_PER_SEGMENT = 50_000
REFERENCE_ROWS = 100_000  # of a first batch; more say no more
OUTCOMES_PER_CALL = 5_000
MOST_SEGMENTS = 10_000  # looked through for one that is known


class Logged(Struct, frozen=True, kw_only=True):
    """What became of some rows."""

    deployment: str
    version: int
    rows: int  # taken, or known already
    new_rows: int  # taken just now
    outcomes: int  # new ones
    wrong: int = 0  # left out, as they were asked to be
    repeated: int = 0  # said the same as another row of the same id
    is_reference: bool = False  # these rows are what later ones are held against


class LogSources(Protocol):
    """What taking in needs of a penstock, in this process or over HTTP."""

    @property
    def external(self) -> ExternalService:
        """Deployments that are served elsewhere."""
        ...

    @property
    def predictions(self) -> PredictionService:
        """Where segments and outcomes go."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Where their rows go."""
        ...


def log_rows(
    sources: LogSources,
    deployment: str,
    frame: pl.DataFrame,
    roles: Roles,
    *,
    task: Task | None = None,
    version: int = 1,
    classes: list[Label] | None = None,
    reference: pl.DataFrame | None = None,
    monitor: MonitorSection | None = None,
    outcomes: OutcomesSection | None = None,
    skip_wrong: bool = False,
) -> Logged:
    """Take in predictions that were made elsewhere.

    Args:
        sources: where to.
        deployment: its name; it is made when there is none yet.
        frame: a row per prediction.
        roles: which column means what.
        task: of the model; may be left out of a deployment that is known.
        version: of the model that answered.
        classes: of a classifier, the positive one last; those that the rows show when None.
        reference: rows that its inputs are held against; the first rows of the version when None.
        monitor: how the deployment is watched; None leaves it.
        outcomes: how outcomes belong to predictions; None leaves it.
        skip_wrong: leave out rows that are wrong instead of refusing all.

    Raises:
        InvalidInputError: rows or columns are wrong; they are named.
        ConflictError: the deployment is served here, or its task is another.
    """
    held = _declare(sources, deployment, task, monitor, outcomes)
    known = {each.version: each for each in sources.external.list_versions(deployment)}.get(version)
    shown = classes if classes is not None else find_classes(frame, roles, held.task)
    all_classes = merge_classes(known.classes if known else (), shown)
    if held.task == "binary" and len(all_classes) > 2:
        raise InvalidInputError(
            f"two classes are expected, and these are {len(all_classes)}: {', '.join(map(repr, all_classes[:5]))}",
            hint="the task of several classes is multiclass",
        )
    now = datetime.now(UTC)
    read = read_rows(frame, roles, task=held.task, classes=all_classes, version=version, now=now, skip_wrong=skip_wrong)
    empty = Logged(deployment=deployment, version=version, rows=0, new_rows=0, outcomes=0, wrong=read.wrong)
    if not read.rows.height:
        return empty
    is_first = known is None and reference is None
    _know_version(sources, held, version, known, list(all_classes), reference, roles, read)
    new_rows, added = _send(sources, deployment, read.rows)
    return structs.replace(
        empty,
        rows=read.rows.height,
        new_rows=new_rows,
        outcomes=added,
        repeated=read.repeated,
        is_reference=is_first,
    )


def _declare(
    sources: LogSources,
    name: str,
    task: Task | None,
    monitor: MonitorSection | None,
    outcomes: OutcomesSection | None,
) -> ExternalDeployment:
    known = next((each for each in sources.external.list_deployments() if each.name == name), None)
    if known is not None and task in (None, known.task) and (monitor, outcomes) == (None, None):
        return known
    if known is None and task is None:
        raise InvalidInputError(
            f"deployment {name!r} is new, and what its model does was not said",
            hint="give its task: binary, multiclass, regression or ranking",
            field="task",
        )
    return sources.external.declare(name, task or (known.task if known else "binary"), monitor, outcomes)


def _know_version(
    sources: LogSources,
    deployment: ExternalDeployment,
    version: int,
    known: ExternalVersion | None,
    classes: list[Label],
    reference: pl.DataFrame | None,
    roles: Roles,
    read: ReadRows,
) -> None:
    if known is not None:
        if tuple(classes) != known.classes:
            sources.external.add_version(deployment.name, version, list(known.inputs), known.reference, classes)
        return
    rows = read.inputs if reference is None else reference.select(_inputs_of(reference, roles, read.inputs.columns))
    rows = rows.gather_every(-(-rows.height // REFERENCE_ROWS)) if rows.height > REFERENCE_ROWS else rows
    data = io.BytesIO()
    rows.write_parquet(data)
    digest = sources.objects.put_bytes(data.getvalue())
    sources.external.add_version(deployment.name, version, list(infer_columns(rows)), digest, classes)


def _inputs_of(reference: pl.DataFrame, roles: Roles, inputs: list[str]) -> list[str]:
    common = [name for name in inputs if name in reference.columns]
    if not common:
        raise InvalidInputError(f"the reference has none of the inputs {', '.join(inputs[:5])}", field="reference")
    return common


def _send(sources: LogSources, deployment: str, rows: pl.DataFrame) -> tuple[int, int]:
    """Send rows a segment at a time, with what is known of them; how many rows and outcomes were new."""
    new_rows = new_outcomes = 0
    for start in range(0, rows.height, ROWS_PER_SEGMENT):
        part = rows.slice(start, ROWS_PER_SEGMENT).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int32))
        log = part.drop("label", "label_at")
        name = _name_segment(deployment, log)
        described = describe_frame(name, deployment, log)
        if not _is_known(sources, described):
            digest = sources.objects.put_bytes(encode_frame(log))
            sources.predictions.add_segment(structs.replace(described, digest=digest))
            new_rows += part.height
        outcomes = [
            Outcome(prediction_id=PredictionId(f"{name}-{row}"), value=codec.decode(label.encode(), object), at=at)
            for row, label, at in part.filter(pl.col("label").is_not_null())
            .select("row", "label", "label_at")
            .iter_rows()
        ]
        for first in range(0, len(outcomes), OUTCOMES_PER_CALL):
            sent = sources.predictions.add_outcomes(outcomes[first : first + OUTCOMES_PER_CALL])
            new_outcomes += sent.accepted
    return new_rows, new_outcomes


def _is_known(sources: LogSources, segment: Segment) -> bool:
    """Whether it was sent before; where that is not seen, sending it again changes nothing either."""
    end = segment.last_at + timedelta(microseconds=1)
    held = sources.predictions.list_segments(segment.deployment, start=segment.first_at, end=end, limit=MOST_SEGMENTS)
    return segment.id in {each.id for each in held}


def _name_segment(deployment: str, rows: pl.DataFrame) -> SegmentId:
    """A name that follows from what the rows say."""
    digest = hashlib.blake2b(deployment.encode(), digest_size=15)
    texts = rows.select(
        pl.concat_str(
            pl.col("at").cast(pl.Int64),
            "revision",
            "key",
            pl.col("name").fill_null("\1"),
            "inputs",
            "output",
            separator="\0",
        )
    ).to_series()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\n")
    return SegmentId(f"x{digest.hexdigest()}")

"""From a source to a draft: find the files, store them, read them back, check them."""

import glob
from datetime import UTC, datetime
from pathlib import Path

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.core.project.types import DataSection
from penstock.datasets.checks import run_checks
from penstock.datasets.frames import SourceTable, is_readable, read_files, time_range
from penstock.datasets.profile import profile_frame
from penstock.datasets.schema import infer_schema
from penstock.datasets.service import DatasetService
from penstock.datasets.types import (
    DataFile,
    DatasetChecksError,
    DatasetDraft,
    DatasetVersion,
    Roles,
)
from penstock.storage.objects.object_store import ObjectStore

_WILD = "*?["


def add_version(
    datasets: DatasetService,
    objects: ObjectStore,
    name: str,
    section: DataSection,
    root: Path,
    *,
    now: datetime | None = None,
) -> DatasetVersion:
    """Ingest a source and record it as the newest version; content that is that already gives the version it is.

    Args:
        datasets: the service, here or of a server.
        objects: where the files are kept.
        name: the dataset's.
        section: what the project file says about it.
        root: the folder that the source is found from.
        now: what `max_age` is measured against; None for the present moment.

    Raises:
        DatasetChecksError: a blocking check failed; its report was recorded, and no version.
        NotFoundError, InvalidInputError: the source is not there, or cannot be read.
    """
    previous = datasets.find_latest(name)
    try:
        draft = ingest(objects, section, root, previous, now=now)
    except DatasetChecksError as error:
        datasets.record_check_report(name, error.report)
        raise
    return datasets.record_version(name, draft)


def ingest(
    objects: ObjectStore,
    section: DataSection,
    root: Path,
    previous: DatasetVersion | None,
    *,
    now: datetime | None = None,
) -> DatasetDraft:
    """Store the files of a source, read them back and check them.

    Raises:
        DatasetChecksError: a blocking check failed.
        NotFoundError, InvalidInputError: the source is not there, or cannot be read.
        ConflictError: a file was changed meanwhile.
    """
    if section.mask:
        # Storing in clear text what was meant to be masked could not be undone.
        raise InvalidInputError(
            f"the columns {', '.join(sorted(section.mask))} are to be masked, and this release cannot mask yet",
            hint="mask them before, and remove 'mask' from penstock.toml",
        )
    tree = objects.put_files(find_files(section.source, root))
    table, files = _read_back(objects, tree)
    report = run_checks(table, section, tree=tree, previous=previous, now=now or datetime.now(UTC))
    if not report.passed:
        raise DatasetChecksError(report)
    is_known = previous is not None and previous.tree == tree
    start, end = time_range(table.frame.get_column(section.time)) if section.time else (None, None)
    return DatasetDraft(
        source=section.source,
        tree=tree,
        roles=Roles(section.time, section.key, section.label),
        schema=infer_schema(table.frame),
        profile=previous.profile if is_known and previous else profile_frame(table.frame),
        files=files,
        report=report,
        time_start=start,
        time_end=end,
    )


def find_files(source: str, root: Path) -> dict[str, Path]:
    """The files that a path or a pattern names, by the path each has in a version's tree.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: the source is of a kind that cannot be read yet, or a file no table.
    """
    if "://" in source:
        raise InvalidInputError(f"{source!r} cannot be read", hint="name a file, or files by a pattern: data/*.parquet")
    if (root / source).is_dir():
        raise InvalidInputError(f"{source!r} is a folder", hint=f"name its files by a pattern: {source}/*.parquet")
    if (root / source).is_file():
        files = {Path(source).name: root / source}
    else:
        base = root / _fixed_part(source)
        found = [root / path for path in sorted(glob.glob(source, root_dir=root, recursive=True))]
        files = {path.relative_to(base).as_posix(): path for path in found if path.is_file()}
    if not files:
        raise NotFoundError(f"there is no file {source!r} in {root}")
    for path in files.values():
        if not is_readable(path.name):
            raise InvalidInputError(
                f"{path} cannot be read as a table", hint="tables are .csv, .csv.gz, .tsv, .jsonl, .ndjson or .parquet"
            )
    return files


def _fixed_part(pattern: str) -> Path:
    """The folder of a pattern up to its first part that is one."""
    parts = Path(pattern).parts
    wild = next((n for n, part in enumerate(parts) if any(sign in part for sign in _WILD)), len(parts) - 1)
    return Path(*parts[:wild])


def _read_back(objects: ObjectStore, tree: Digest) -> tuple[SourceTable, tuple[DataFile, ...]]:
    """What was stored, rather than the files: they may be changed at any moment."""
    stored = list(objects.list_files(tree))
    table = read_files(objects, [(path, entry.digest) for path, entry in stored])
    rows = dict(table.rows)
    return table, tuple(DataFile(path, entry.digest, entry.size, rows[path]) for path, entry in stored)

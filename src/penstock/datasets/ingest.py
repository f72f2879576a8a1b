"""From a source to a draft: find the files, store them, check them."""

import glob
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.core.project.types import DataSection
from penstock.datasets.checks import Past, read_past
from penstock.datasets.examine import Examined, examine
from penstock.datasets.frames import is_readable
from penstock.datasets.service import DatasetService
from penstock.datasets.types import (
    CheckReport,
    DataFile,
    DatasetChecksError,
    DatasetDraft,
    DatasetVersion,
    Quarantine,
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
        past = read_past(datasets.get_version, objects, name, previous)
        draft = ingest(objects, section, root, past, now=now)
    except DatasetChecksError as error:
        datasets.record_check_report(name, error.report)
        raise
    return datasets.record_version(name, draft)


def check_source(
    section: DataSection, root: Path, past: Past | None = None, *, now: datetime | None = None
) -> CheckReport:
    """What the checks say of a source as it is now; nothing is stored, and the report's tree is empty.

    Raises:
        NotFoundError, InvalidInputError: the source is not there, or cannot be read.
    """
    files = find_files(section.source, root)
    with tempfile.TemporaryDirectory(prefix="penstock-check-") as folder:
        return examine(files, section, root, folder=Path(folder), now=now or datetime.now(UTC), past=past).report


def ingest(
    objects: ObjectStore,
    section: DataSection,
    root: Path,
    past: Past | None = None,
    *,
    now: datetime | None = None,
) -> DatasetDraft:
    """Store the files of a source and check them; rows that a check puts aside are left out.

    Args:
        objects: where the files are kept.
        section: what the project file says about the dataset.
        root: the folder that the source is found from.
        past: what it is compared with; None for a first version.
        now: what `max_age` is measured against; None for the present moment.

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
    files = find_files(section.source, root)
    seen = _signatures(files)
    tree = objects.put_files(files)
    with tempfile.TemporaryDirectory(prefix="penstock-check-") as folder:
        found = examine(files, section, root, folder=Path(folder), now=now or datetime.now(UTC), tree=tree, past=past)
        _refuse_changed(files, seen)
        if not found.report.passed:
            raise DatasetChecksError(found.report)
        return _keep(objects, section, found)


def _signatures(files: Mapping[str, Path]) -> dict[str, tuple[int, ...]]:
    """What changes when a file does."""
    stats = {name: path.stat() for name, path in files.items()}
    return {name: (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for name, stat in stats.items()}


def _refuse_changed(files: Mapping[str, Path], seen: Mapping[str, tuple[int, ...]]) -> None:
    """What was checked has to be what was stored."""
    for name, signature in _signatures(files).items():
        if signature != seen[name]:
            raise ConflictError(f"{files[name]} was changed while it was read", hint="try again when it is whole")


def _keep(objects: ObjectStore, section: DataSection, found: Examined) -> DatasetDraft:
    """Take in the rows that stay, and keep the others beside the report."""
    report, parted = found.report, found.parted
    if parted is None:
        return _draft(section, found, report.tree, _stored(objects, report.tree, found.left.rows, {}))
    aside = Quarantine(tree=objects.put_files(parted.aside), rows=sum(parted.rows.values()))
    found = structs.replace(found, report=structs.replace(report, quarantine=aside))
    tree = objects.put_files(parted.kept)
    return _draft(section, found, tree, _stored(objects, tree, found.left.rows, parted.rows))


def _draft(section: DataSection, found: Examined, tree: Digest, files: tuple[DataFile, ...]) -> DatasetDraft:
    start, end = found.left.span
    return DatasetDraft(
        source=section.source,
        tree=tree,
        roles=Roles(section.time, section.key, section.label),
        schema=found.left.schema,
        profile=found.left.profile,
        files=files,
        report=found.report,
        time_start=start,
        time_end=end,
    )


def _stored(
    objects: ObjectStore, tree: Digest, rows: Mapping[str, int], lost: Mapping[str, int]
) -> tuple[DataFile, ...]:
    return tuple(
        DataFile(path, entry.digest, entry.size, rows[path], lost.get(path, 0))
        for path, entry in objects.list_files(tree)
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

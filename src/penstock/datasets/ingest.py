"""From a source to a draft: find the files, store them, check them."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import Digest
from penstock.core.project.types import DataSection
from penstock.datasets.checks import Past, read_past
from penstock.datasets.examine import Examined, examine
from penstock.datasets.service import DatasetService
from penstock.datasets.sources.fetching import fetching
from penstock.datasets.sources.types import Fetched
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
    roles = _roles(section)
    with fetching(section, root, previous if previous and previous.roles == roles else None, objects) as fetched:
        if fetched.is_unchanged and previous is not None:
            return previous
        try:
            past = read_past(datasets.get_version, objects, name, previous)
            draft = take_in(objects, section, root, fetched, past, now=now)
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
    when = now or datetime.now(UTC)
    with (
        fetching(section, root, None, None) as fetched,
        tempfile.TemporaryDirectory(prefix="penstock-check-") as folder,
    ):
        return examine(fetched.files, section, root, folder=Path(folder), now=when, past=past).report


def ingest(
    objects: ObjectStore,
    section: DataSection,
    root: Path,
    past: Past | None = None,
    *,
    now: datetime | None = None,
) -> DatasetDraft:
    """Fetch a source, and take it in as `take_in` does."""
    with fetching(section, root, None, objects) as fetched:
        return take_in(objects, section, root, fetched, past, now=now)


def take_in(
    objects: ObjectStore,
    section: DataSection,
    root: Path,
    fetched: Fetched,
    past: Past | None = None,
    *,
    now: datetime | None = None,
) -> DatasetDraft:
    """Store the files of a source and check them; rows that a check puts aside are left out.

    Args:
        objects: where the files are kept.
        section: what the project file says about the dataset.
        root: the folder that paths are found from.
        fetched: the files.
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
    files = fetched.files
    seen = _signatures(files)
    tree = objects.put_files(files)
    with tempfile.TemporaryDirectory(prefix="penstock-check-") as folder:
        found = examine(files, section, root, folder=Path(folder), now=now or datetime.now(UTC), tree=tree, past=past)
        _refuse_changed(files, seen)
        if not found.report.passed:
            raise DatasetChecksError(found.report)
        return structs.replace(_keep(objects, section, found), provenance=fetched.provenance)


def _roles(section: DataSection) -> Roles:
    return Roles(section.time, section.key, section.label)


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
        roles=_roles(section),
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

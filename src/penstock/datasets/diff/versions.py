"""Two versions of a dataset compared: from what is known of them, and row by row."""

from msgspec import structs

from penstock.core.errors import InvalidInputError
from penstock.datasets.checks.past import whole_profile
from penstock.datasets.diff.rows import diff_rows
from penstock.datasets.diff.types import ColumnDiff, DatasetDiff, FileDiff, RowDiff
from penstock.datasets.frames import open_version
from penstock.datasets.profile.compare import compare_columns
from penstock.datasets.profile.spread import spread_of
from penstock.datasets.schema import compare_schemas
from penstock.datasets.types import DatasetVersion, Profile
from penstock.storage.objects.folders.comparing import FOLDER, compare
from penstock.storage.objects.format import TreeRow, decode_rows, parse_digest
from penstock.storage.objects.stored import StoredObjects

_ALPHA = 0.001


def diff_versions(objects: StoredObjects, before: DatasetVersion, after: DatasetVersion) -> DatasetDiff:
    """Compare two versions, row by row; they need not fit into memory.

    Raises:
        InvalidInputError: they are of two datasets.
        CorruptDataError: a file is not what was stored.
    """
    _check_same(before, after)
    if not (before.files and after.files):  # of files of any kind only their content is known
        found = _diff(before, after, before.profile, after.profile, None)
        files = _diff_trees(objects, before, after)
        same = after.file_count - sum(1 for file in files if file.change != "removed")
        return structs.replace(found, files=files, same_files=same)
    profiles = [whole_profile(objects, version) for version in (before, after)]
    with open_version(objects, before) as old, open_version(objects, after) as new:
        rows = diff_rows(old, new, after.roles.key)
    return _diff(before, after, profiles[0], profiles[1], rows)


def diff_profiles(before: DatasetVersion, after: DatasetVersion) -> DatasetDiff:
    """What their records tell of two versions, without reading a row.

    Raises:
        InvalidInputError: they are of two datasets.
    """
    _check_same(before, after)
    return _diff(before, after, before.profile, after.profile, None)


def _check_same(before: DatasetVersion, after: DatasetVersion) -> None:
    if before.dataset != after.dataset:
        raise InvalidInputError(f"{before.dataset!r} and {after.dataset!r} are two datasets, not two versions of one")


def _diff(
    before: DatasetVersion, after: DatasetVersion, old: Profile, new: Profile, rows: RowDiff | None
) -> DatasetDiff:
    counts = (old.rows, new.rows)
    columns = []
    for was in old.columns:
        now = new.find(was.name)
        if now is not None:
            shift = compare_columns(was, now, counts, alpha=_ALPHA)
            columns.append(
                ColumnDiff(
                    name=was.name,
                    distance=shift.distance,
                    is_chance=shift.is_chance,
                    before=was,
                    after=now,
                    spread=spread_of(was, now, counts),
                )
            )
    files = _diff_files(before, after)
    return DatasetDiff(
        dataset=before.dataset,
        before=before.version,
        after=after.version,
        files=files,
        same_files=len({file.path for file in after.files} - {file.path for file in files}),
        schema=tuple(compare_schemas(before.schema, after.schema)),
        rows=rows,
        columns=tuple(sorted(columns, key=lambda column: -column.distance)),
    )


def _diff_trees(objects: StoredObjects, before: DatasetVersion, after: DatasetVersion) -> tuple[FileDiff, ...]:
    def look(path: str, digest: bytes) -> list[TreeRow]:
        return decode_rows(objects.read_object(digest)[1])

    found = []
    for path, was, now in compare(look, look, parse_digest(before.tree), parse_digest(after.tree)):
        old = was[2] if was is not None and was[1] != FOLDER else None
        new = now[2] if now is not None and now[1] != FOLDER else None
        if old is not None or new is not None:
            found.append(FileDiff(path, "added" if old is None else "removed" if new is None else "changed", old, new))
    return tuple(found)


def _diff_files(before: DatasetVersion, after: DatasetVersion) -> tuple[FileDiff, ...]:
    old, new = ({file.path: file for file in version.files} for version in (before, after))
    found = []
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path), new.get(path)
        if was is None and now is not None:
            found.append(FileDiff(path, "added", None, now.size))
        elif now is None and was is not None:
            found.append(FileDiff(path, "removed", was.size, None))
        elif was is not None and now is not None and was.digest != now.digest:
            found.append(FileDiff(path, "changed", was.size, now.size))
    return tuple(found)

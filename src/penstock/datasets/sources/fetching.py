"""What a section of the project file names, brought to this machine."""

import contextlib
import glob
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.project.types import DataSection
from penstock.datasets.frames import is_readable
from penstock.datasets.sources import bucket, delta, http, query
from penstock.datasets.sources.types import PART_NAME, Fetched
from penstock.datasets.types import DatasetVersion, Provenance
from penstock.storage.objects.object_store import ObjectStore

TABLES = "tables are .csv, .csv.gz, .tsv, .jsonl, .ndjson, .parquet, .arrow, .feather, .ipc or .xlsx"
_WILD = "*?["
_PIECE = 1 << 20


@contextlib.contextmanager
def fetching(
    section: DataSection, root: Path, previous: DatasetVersion | None, objects: ObjectStore | None
) -> Iterator[Fetched]:
    """The files of a source, until the block is left.

    Args:
        section: what the project file says about the dataset.
        root: the folder that paths are found from.
        previous: the newest version; what is known to be as it was then is not fetched again.
        objects: has the files of that version; None to fetch everything.

    Raises:
        NotFoundError, InvalidInputError, ConflictError, UnavailableError: the source is not there, or cannot be read.
    """
    known = previous if previous is not None and previous.source == section.source else None
    with tempfile.TemporaryDirectory(prefix="penstock-source-") as folder:
        yield _Fetcher(section, root, known, objects, Path(folder)).fetch()


class _Fetcher:
    def __init__(
        self,
        section: DataSection,
        root: Path,
        known: DatasetVersion | None,
        objects: ObjectStore | None,
        folder: Path,
    ) -> None:
        self._section = section
        self._root = root
        self._known = known
        self._objects = objects
        self._folder = folder
        self._now = datetime.now(UTC)
        self._before = known.provenance if known is not None and objects is not None else None

    def fetch(self) -> Fetched:
        source = self._section.source
        if query.is_query(source):
            return self._fetch_query(source)
        if self._section.incremental is not None:
            raise InvalidInputError("'incremental' is for queries", hint="files that are known are not stored again")
        if http.is_address(source):
            return self._fetch_address(source)
        if self._section.sha256 is not None:
            raise InvalidInputError("'sha256' is for an HTTP address", hint="files here are known by their own digest")
        if delta.is_delta(source, self._root):
            return self._fetch_table(source)
        if bucket.is_bucket(source):
            return self._fetch_bucket(source)
        files = find_files(source, self._root)
        return Fetched(files, Provenance(kind="files", place=source, fetched_at=self._now))

    def _check(self, names: Iterable[str]) -> None:
        for name in names:
            if not is_readable(name):
                raise InvalidInputError(f"{name!r} of {self._section.source!r} cannot be read as a table", hint=TABLES)

    def _fetch_query(self, source: str) -> Fetched:
        by = self._section.incremental
        url = query.resolve_connection(self._section.connection, self._root)
        after = self._before.watermark if by is not None and self._before is not None else None
        files = self._kept_parts() if after is not None else {}
        name = PART_NAME.format(len(files) + 1) if by is not None else "query.parquet"
        rows, watermark = query.write_query(url, source, self._folder / name, by=by, after=after)
        provenance = Provenance(
            kind="query",
            place=source,
            connection=query.describe_connection(url),
            fetched_at=self._now,
            rows=rows,
            watermark=watermark,
        )
        if files and not rows:
            return Fetched({}, provenance, is_unchanged=True)
        return Fetched({**files, name: self._folder / name}, provenance)

    def _kept_parts(self) -> dict[str, Path]:
        """The files of the version that is known, which the new rows come after."""
        assert self._known is not None
        assert self._objects is not None
        files = {}
        for path, entry in self._objects.list_files(self._known.tree):
            target = self._folder / path
            with self._objects.open(entry.digest) as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out, _PIECE)
            files[path] = target
        return files

    def _fetch_address(self, source: str) -> Fetched:
        name = http.file_name(source)
        self._check([name])
        before = self._before
        found = http.download(
            source,
            self._folder / name,
            sha256=self._section.sha256,
            etag=before.etag if before is not None else "",
            modified=before.modified if before is not None else "",
        )
        provenance = Provenance(
            kind="http",
            place=source,
            fetched_at=self._now,
            etag=found.etag,
            modified=found.modified,
            sha256=found.sha256,
        )
        if found.path is None:
            return Fetched({}, provenance, is_unchanged=True)
        return Fetched({name: found.path}, provenance)

    def _fetch_table(self, source: str) -> Fetched:
        target = self._folder / "table.parquet"
        known = self._before.table_version if self._before is not None else None
        version, rows = delta.write_table(source, self._root, target, known=known)
        provenance = Provenance(kind="delta", place=source, fetched_at=self._now, rows=rows, table_version=version)
        if rows is None:
            return Fetched({}, provenance, is_unchanged=True)
        return Fetched({target.name: target}, provenance)

    def _fetch_bucket(self, source: str) -> Fetched:
        files, state = bucket.fetch_files(source, self._folder)
        self._check(files)
        return Fetched(files, Provenance(kind="bucket", place=source, fetched_at=self._now, etag=state))


def find_files(source: str, root: Path) -> dict[str, Path]:
    """The files that a path or a pattern names, by the path each has in a version's tree.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: the source is of a kind that cannot be read, or a file no table.
    """
    if "://" in source:
        kind = source.partition("://")[0]
        raise InvalidInputError(
            f"a source of kind {kind!r} cannot be read",
            hint="name files, an HTTP address, s3://, gs:// or az://, or a query with a connection",
        )
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
            raise InvalidInputError(f"{path} cannot be read as a table", hint=TABLES)
    return files


def _fixed_part(pattern: str) -> Path:
    """The folder of a pattern up to its first part that is one."""
    parts = Path(pattern).parts
    wild = next((n for n, part in enumerate(parts) if any(sign in part for sign in _WILD)), len(parts) - 1)
    return Path(*parts[:wild])

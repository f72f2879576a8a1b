"""A dataset that is described in Croissant is taken in: its files fetched, checked, and kept as a version."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from msgspec import Struct, structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.project.types import CheckAction, CheckSection, DataSection
from penstock.datasets.croissant.reading import CroissantDataset, CroissantField, CroissantFile, parse_description
from penstock.datasets.frames import is_readable
from penstock.datasets.ingest import ingest
from penstock.datasets.service import DatasetService
from penstock.datasets.sources.http import download, is_address
from penstock.datasets.types import DatasetChecksError, DatasetVersion, FilesDraft
from penstock.storage.objects.format import to_digest
from penstock.storage.objects.object_store import ObjectStore

_TEXT_FILES = (".csv", ".csv.gz", ".tsv")  # whose values are all texts, whatever they look like
_PIECE = 1 << 20


class TakenIn(Struct, frozen=True):
    """A dataset that was taken in."""

    version: DatasetVersion
    section: DataSection | None  # what it has to be like; None where its files are no tables
    unchecked: tuple[str, ...]  # files whose description has no SHA-256
    skipped: tuple[str, ...]  # what was not taken in, and why


def take_in(
    datasets: DatasetService, objects: ObjectStore, place: str, *, name: str, action: CheckAction = "block"
) -> TakenIn:
    """Take in a dataset.

    Args:
        datasets: where the version is recorded.
        objects: where the files are kept.
        place: the file or HTTP address of the description.
        name: of the dataset; empty: the one that is described.
        action: what happens when a column is not of the type that its field has.

    Raises:
        NotFoundError, UnavailableError: the description or a file is not there, or cannot be fetched.
        InvalidInputError: the description is none, or names files that it may not.
        ConflictError: a file has another SHA-256 than it should.
        DatasetChecksError: a column is not of the type that its field has; nothing was recorded but the report.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-croissant-") as folder:
        described = parse_description(_read_description(place, Path(folder)), place)
        files = Path(folder) / "files"
        for file in described.files:
            _fetch(place, file, files / file.path)
        dataset = name or described.name
        section = _to_section(described, action)
        version = _record(datasets, objects, dataset, place, files, section)
    unchecked = tuple(file.path for file in described.files if not file.sha256)
    return TakenIn(version, section, unchecked, described.skipped)


def _record(
    datasets: DatasetService, objects: ObjectStore, dataset: str, place: str, files: Path, section: DataSection | None
) -> DatasetVersion:
    source = place if is_address(place) else os.path.abspath(place)
    if section is None:
        added = objects.add_folder(files)
        draft = FilesDraft(source=source, tree=to_digest(added.digest), files=added.files, size=added.size)
        return datasets.record_files(dataset, draft)
    try:
        return datasets.record_version(dataset, structs.replace(ingest(objects, section, files, None), source=source))
    except DatasetChecksError as error:
        datasets.record_check_report(dataset, error.report)
        raise


def _read_description(place: str, folder: Path) -> bytes:
    if is_address(place):
        target = folder / "description.json"
        download(place, target)
        return target.read_bytes()
    if not Path(place).is_file():
        raise NotFoundError(f"there is no file {place}")
    return Path(place).read_bytes()


def _fetch(place: str, file: CroissantFile, target: Path) -> None:
    """Bring a file here; a description that was fetched names no files of this machine."""
    target.parent.mkdir(parents=True, exist_ok=True)
    url = urljoin(place, file.url) if is_address(place) else file.url
    if is_address(url):
        download(url, target, sha256=file.sha256 or None)
        return
    if urlsplit(url).scheme or is_address(place):
        raise InvalidInputError(
            f"{file.path} of {place} lies at {url}, which cannot be read", hint="only files and HTTP addresses can"
        )
    base = Path(place).absolute().parent
    found = (base / unquote(urlsplit(url).path)).resolve()
    if not found.is_relative_to(base.resolve()):
        raise InvalidInputError(f"{place} names {url}, which does not lie beside it", hint="move its files there")
    if not found.is_file():
        raise NotFoundError(f"{place} names {url}, and there is no file {found}")
    _copy(found, target, file)


def _copy(found: Path, target: Path, file: CroissantFile) -> None:
    hasher = hashlib.sha256()
    with found.open("rb") as stream, target.open("wb") as out:
        while piece := stream.read(_PIECE):
            hasher.update(piece)
            out.write(piece)
    if file.sha256 and hasher.hexdigest() != file.sha256.lower():
        raise ConflictError(
            f"{found} has the SHA-256 {hasher.hexdigest()}, not {file.sha256}", hint="it changed, or was tampered with"
        )
    shutil.copymode(found, target)


def _to_section(described: CroissantDataset, action: CheckAction) -> DataSection | None:
    """What the table has to be like; None where the files are no tables, or nothing is said of them."""
    if not described.fields or not all(is_readable(file.path) for file in described.files):
        return None
    paths = {file.id: file.path for file in described.files}
    checks = {
        field.column: CheckSection(column=field.column, type=field.kind, action=action)
        for field in described.fields
        if field.kind is not None and field.file in paths and not _is_only_text(field, paths)
    }
    only = described.files[0].path if len(described.files) == 1 else "**/*"
    return DataSection(source=only, key=",".join(described.key) or None, checks=tuple(checks.values()))


def _is_only_text(field: CroissantField, paths: dict[str, str]) -> bool:
    """Whether a text is what any value of the file is."""
    return field.kind == "text" and paths[field.file].lower().endswith(_TEXT_FILES)

"""What a description in Croissant says of a dataset: its files, and the columns of its tables."""

import posixpath
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import ColumnType
from penstock.datasets.croissant.vocabulary import FAMILY, kind_of, short_name
from penstock.storage.objects.format import check_entry_name


class CroissantFile(Struct, frozen=True):
    """A file of the dataset."""

    path: str  # that it has in the dataset
    url: str  # as the description has it: whole, or from where that lies
    sha256: str  # empty where none is given
    id: str


class CroissantField(Struct, frozen=True):
    """A column of a table."""

    column: str
    kind: ColumnType | None
    file: str  # the id of the file that it comes from; empty where it is none of these


class CroissantDataset(Struct, frozen=True):
    """A dataset as it is described."""

    name: str
    licence: str
    files: tuple[CroissantFile, ...]
    fields: tuple[CroissantField, ...]
    key: tuple[str, ...]  # columns; of the one table there is
    skipped: tuple[str, ...]  # what is not taken in, and why


def parse_description(body: bytes, place: str) -> CroissantDataset:
    """Read a description.

    Args:
        body: JSON-LD.
        place: as messages call it.

    Raises:
        InvalidInputError: it is no description in Croissant, or names two files with one path.
    """
    try:
        held = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidInputError(f"{place} is no JSON: {error}") from error
    if not isinstance(held, dict) or not any(FAMILY in str(each) for each in _told_versions(held)):
        raise InvalidInputError(f"{place} does not say that it conforms to Croissant", hint="it needs 'conformsTo'")
    files: list[CroissantFile] = []
    skipped: list[str] = []
    for each in _list(held.get("distribution")):
        _read_resource(each, files, skipped)
    paths = [file.path for file in files]
    twice = next((path for path in paths if paths.count(path) > 1), None) if len(set(paths)) < len(paths) else None
    if twice is not None:
        raise InvalidInputError(f"{place} names two files {twice!r}")
    if not files:
        reason = f": {skipped[0]}" if skipped else ""
        raise InvalidInputError(f"{place} names no file that can be taken in{reason}")
    tables = [each for each in _list(held.get("recordSet")) if "data" not in each]
    fields = [_read_field(each) for table in tables for each in _list(table.get("field"))]
    key = _read_key(tables[0]) if len(tables) == 1 else ()
    name, licence = str(held.get("name") or ""), held.get("license")
    return CroissantDataset(name, str(licence or ""), tuple(files), tuple(fields), key, tuple(skipped))


def _told_versions(held: Mapping[str, Any]) -> list[Any]:
    told = held.get("conformsTo") or held.get("dct:conformsTo")
    return [
        each.get("@id") if isinstance(each, dict) else each for each in (told if isinstance(told, list) else [told])
    ]


def _read_resource(held: Mapping[str, Any], files: list[CroissantFile], skipped: list[str]) -> None:
    name = str(held.get("@id") or held.get("name") or "?")
    if short_name(str(held.get("@type"))) != "FileObject":
        skipped.append(f"{name} is a set of files within others")
    elif held.get("containedIn"):
        skipped.append(f"{name} lies within another file")
    elif not held.get("contentUrl"):
        skipped.append(f"{name} has no contentUrl")
    else:
        url = str(held["contentUrl"])
        files.append(CroissantFile(_path_of(url, held), url, str(held.get("sha256") or ""), name))


def _path_of(url: str, held: Mapping[str, Any]) -> str:
    """The path of a file in the dataset: its own where that is relative, else its name."""
    parts = urlsplit(url)
    path = posixpath.normpath(unquote(parts.path))
    if parts.scheme or path.startswith("/"):
        path = str(held.get("name") or "")
        if PurePosixPath(path).suffix != PurePosixPath(unquote(parts.path)).suffix:
            path = PurePosixPath(unquote(parts.path)).name
    path = path.lstrip("/")
    for part in path.split("/"):
        check_entry_name(part)  # which also says no to what leads out of the dataset
    return path


def _read_field(held: Mapping[str, Any]) -> CroissantField:
    source = held.get("source")
    source = source if isinstance(source, dict) else {}
    extract, file = source.get("extract"), source.get("fileObject")
    column = extract.get("column") if isinstance(extract, dict) else None
    told = str(held.get("name") or held.get("@id") or "")
    types = held.get("dataType")
    kinds = [kind_of(str(each)) for each in (types if isinstance(types, list) else [types])]
    kind: ColumnType | None = "list" if held.get("isArray") else next(filter(None, kinds), None)
    where = str(file.get("@id") or "") if isinstance(file, dict) else ""
    return CroissantField(str(column or unquote(told.rpartition("/")[2])), kind, where)


def _read_key(table: Mapping[str, Any]) -> tuple[str, ...]:
    columns = {str(each.get("@id")): _read_field(each).column for each in _list(table.get("field"))}
    return tuple(columns[each["@id"]] for each in _list(table.get("key")) if each.get("@id") in columns)


def _list(held: Any) -> list[Mapping[str, Any]]:
    """What may stand alone or in a list."""
    return [each for each in (held if isinstance(held, list) else [held]) if isinstance(each, dict)]

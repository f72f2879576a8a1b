"""A version described in Croissant 1.1."""

import hashlib
import mimetypes
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from penstock.datasets.croissant.vocabulary import CONTEXT, ENCODINGS, VERSION, data_type
from penstock.datasets.reading.reader import DatasetReader, StoredFile
from penstock.datasets.reading.tables import is_table

_PIECE = 1 << 20
Progress = Callable[[int, int], object]  # files and bytes so far


class Description(Struct, frozen=True, kw_only=True):
    """What people say about a dataset; what is empty is not known."""

    text: str = ""
    licence: str = ""  # a URL, or a name of SPDX
    creator: str = ""
    url: str = ""  # of its page


def describe(
    reader: DatasetReader, said: Description, *, base: str, progress: Progress | None = None
) -> dict[str, Any]:
    """The description of a version; every file is read for its SHA-256.

    Args:
        reader: the version.
        said: what people say about it.
        base: what stands before the path of a file in its URL; empty: the file lies beside the description.
        progress: told the files and bytes so far, now and then.

    Raises:
        CorruptDataError: a file is not what was stored.
    """
    version = reader.version
    made = version.created_at.date().isoformat()
    creator = {"@type": "sc:Organization", "name": said.creator} if said.creator else None
    found: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": version.dataset,
        "description": said.text or f"Version {version.version} of the dataset {version.dataset}.",
        "license": said.licence or None,
        "url": said.url or f"penstock://{reader.name}",
        "creator": creator or {"@type": "sc:Person", "name": version.created_by},
        "datePublished": made,
        "dateCreated": made,
        "version": f"{version.version}.0.0",
        "distribution": list(_distribution(reader, base, progress)),
        "recordSet": list(_record_sets(reader)) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _distribution(reader: DatasetReader, base: str, progress: Progress | None) -> Iterator[dict[str, Any]]:
    size = 0
    for number, file in enumerate(reader.files(), 1):
        yield {
            "@type": "cr:FileObject",
            "@id": _to_id(file.path),
            "name": file.path,
            "contentUrl": f"{base}{quote(file.path)}",
            "contentSize": f"{file.size} B",
            "encodingFormat": _encoding(file.path),
            "sha256": _sha256(reader, file),
        }
        size += file.size
        if progress is not None:
            progress(number, size)


def _record_sets(reader: DatasetReader) -> Iterator[dict[str, Any]]:
    """One for each file of a table: the rows of a version are those of its files, one after the other."""
    version = reader.version
    columns = version.schema.columns
    paths = [file.path for file in version.files if is_table(file.path)] if columns else []
    for path in paths:
        name = version.dataset if len(paths) == 1 else f"{version.dataset}/{path}"
        key = [each.strip() for each in (version.roles.key or "").split(",") if each.strip() in version.schema.names]
        found: dict[str, Any] = {"@type": "cr:RecordSet", "@id": f"records/{_to_id(name)}", "name": name}
        if key:
            found["key"] = [{"@id": _field_id(found["@id"], each)} for each in key]
        found["field"] = [
            {
                "@type": "cr:Field",
                "@id": _field_id(found["@id"], column.name),
                "name": column.name,
                **data_type(column),
                "source": {"fileObject": {"@id": _to_id(path)}, "extract": {"column": column.name}},
            }
            for column in columns
        ]
        yield found


def _sha256(reader: DatasetReader, file: StoredFile) -> str:
    hasher = hashlib.sha256()
    with reader.objects.open(file.digest) as stream:
        while piece := stream.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()


def _encoding(path: str) -> str:
    lower = path.lower()
    known = next((kind for ending, kind in ENCODINGS.items() if lower.endswith(ending)), None)
    return known or mimetypes.guess_type(path)[0] or "application/octet-stream"


def _field_id(table: str, column: str) -> str:
    return f"{table}/{quote(column, safe='')}"


def _to_id(path: str) -> str:
    """An identifier that no other file, table or column has."""
    return quote(path)

"""The words of Croissant 1.1.

Source: Croissant Format Specification 1.1, MLCommons, 2026.
"""

from typing import Any

from penstock.core.project.types import ColumnType
from penstock.datasets.types import Column

VERSION = "http://mlcommons.org/croissant/1.1"
FAMILY = "mlcommons.org/croissant/"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "http://schema.org/",
    "sc": "http://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {
    word: f"cr:{word}"
    for word in (
        *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract"),
        *("field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset"),
        *("jsonPath", "key", "md5", "parentField", "readLines", "recordSet", "references", "regex", "sdVersion"),
        *("separator", "source", "subField", "transform", "unArchive", "value"),
    )
}
_TYPES: dict[str, str] = {
    "integer": "sc:Integer",
    "number": "sc:Float",
    "text": "sc:Text",
    "boolean": "sc:Boolean",
    "date": "sc:Date",
    "datetime": "sc:DateTime",
}
_KINDS: dict[str, ColumnType] = {
    "Integer": "integer",
    "Float": "number",
    "Number": "number",
    "Text": "text",
    "String": "text",
    "URL": "text",
    "Boolean": "boolean",
    "Date": "date",
    "DateTime": "datetime",
}
_MACHINE_TYPES: dict[str, ColumnType] = {"Int": "integer", "UInt": "integer", "Float": "number"}  # such as cr:Float32
ENCODINGS = {
    ".csv": "text/csv",
    ".csv.gz": "application/gzip",
    ".tsv": "text/tab-separated-values",
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".parquet": "application/x-parquet",
    ".arrow": "application/vnd.apache.arrow.file",
}


def data_type(column: Column) -> dict[str, Any]:
    """What a field says of its values."""
    if column.kind == "list":
        return {"dataType": "sc:Text", "isArray": True, "arrayShape": "-1"}
    if column.dtype == "Time":
        return {"dataType": "sc:Time"}
    return {"dataType": _TYPES.get(column.kind, "sc:Text")}


def kind_of(name: str) -> ColumnType | None:
    """The kind of column that a type stands for; None for one that says nothing about single values."""
    short = short_name(name)
    return _KINDS.get(short) or _MACHINE_TYPES.get(short.rstrip("0123456789"))


def short_name(name: str) -> str:
    """A word without the place it comes from: `cr:FileObject` and its whole IRI are `FileObject`."""
    return name.rpartition(":")[2].rpartition("/")[2]

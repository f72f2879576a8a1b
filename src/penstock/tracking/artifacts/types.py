"""The records of artifacts: files with their paths, folders one level deep, uploads in parts."""

from datetime import datetime

from msgspec import Struct

from penstock.core.ids import Digest


class Artifact(Struct, frozen=True, kw_only=True):
    """A file that a run, a logged model or the server keeps."""

    path: str
    digest: Digest
    size_bytes: int
    created_at: datetime


class FolderEntry(Struct, frozen=True, kw_only=True):
    """A file or folder by its name; a folder is there as long as a file is below it."""

    name: str
    is_folder: bool
    size_bytes: int | None = None  # None for folders
    digest: Digest | None = None  # None for folders


class FolderPage(Struct, frozen=True, kw_only=True):
    """A part of a folder, one level deep."""

    entries: tuple[FolderEntry, ...]
    next: str = ""  # give it as `after` to go on; empty on the last page


class Upload(Struct, frozen=True, kw_only=True):
    """A file that arrives in numbered parts, in any order, and becomes an artifact when all are there."""

    id: str
    home: str
    path: str
    num_parts: int
    created_by: str
    created_at: datetime


class UploadPart(Struct, frozen=True, kw_only=True):
    """One part of an upload; its digest is what the uploader shows to say which parts it means."""

    number: int  # from 1
    digest: Digest
    size_bytes: int

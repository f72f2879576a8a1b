"""The version that a command hands over: of a dataset, or of a path of the folder here."""

from pathlib import Path

from msgspec import Struct

from penstock.cli.session import check_url
from penstock.core.ids import Digest
from penstock.datasets.reading.reader import DatasetReader
from penstock.datasets.workspace.pointers import Pointer, load_pointers
from penstock.datasets.workspace.workspace import find_root, path_in
from penstock.sdk.dataset import default_target, open_reader
from penstock.storage.objects.stored import StoredObjects


class Chosen(Struct, frozen=True):
    """A version, and where its files are."""

    dataset: str
    source: str
    tree: Digest
    objects: StoredObjects
    reader: DatasetReader


def choose(what: str, url: str) -> Chosen:
    """The version that `NAME`, `NAME@VERSION` or a path of `penstock.data` means; of a path the one the folder has.

    Raises:
        NotFoundError: there is no such dataset, version or path.
    """
    check_url(url)
    pointer = _find_pointer(what)
    name = what if pointer is None else pointer.dataset
    reader = open_reader(name, url or default_target())
    if pointer is None:
        return Chosen(reader.version.dataset, reader.version.source, reader.version.tree, reader.objects, reader)
    return Chosen(pointer.dataset, pointer.path, pointer.tree, reader.objects, reader)


def _find_pointer(what: str) -> Pointer | None:
    root = find_root(Path.cwd())
    pointers = load_pointers(root)
    is_below = (Path.cwd() / what).absolute().is_relative_to(root) and (Path.cwd() / what).absolute() != root
    return pointers.get(path_in(root, Path(what))) if pointers and is_below else None

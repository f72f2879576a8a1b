"""Opens a registered model: its directory laid out in a local cache, every byte checked, its golden rows answered."""

import logging
import shutil
from pathlib import Path

from blake3 import blake3

from penstock.core import codec
from penstock.core.errors import InvalidInputError, UnavailableError
from penstock.core.ids import Digest, new_id
from penstock.registry.format.loaded import LoadedModel, check_golden, load_model
from penstock.registry.types import ModelVersion
from penstock.storage.objects.format import parse_digest
from penstock.storage.objects.stored import StoredObjects

log = logging.getLogger(__name__)

_FOLDER = "model"
_NOTE = "digests.json"  # of the files in the folder beside it


def open_model(objects: StoredObjects, version: ModelVersion, cache: Path) -> LoadedModel:
    """A model version, ready to predict; see `open_tree`.

    Raises:
        ConflictError: its files are not kept here.
    """
    return open_tree(objects, version.get_tree(), cache)


def open_tree(objects: StoredObjects, tree: Digest, cache: Path) -> LoadedModel:
    """A model directory of the object store, ready to predict.

    Args:
        objects: where the directory is.
        tree: its digest.
        cache: where directories are laid out, each under its digest; several processes may share it. A copy there
            whose bytes have changed is laid out again.

    Raises:
        CorruptDataError: stored bytes are not what was written, or the model answers otherwise than when it was saved.
        NotFoundError: the object store has no such directory.
    """
    model = load_model(lay_out(objects, tree, cache))
    check_golden(model)
    return model


def lay_out(objects: StoredObjects, tree: Digest, cache: Path) -> Path:
    """The directory as a folder in the cache, checked to be as it was written."""
    parse_digest(tree)  # it names a folder here, and one that was altered is removed
    place = cache / "models" / tree
    if place.exists() and not _is_unchanged(place):
        log.warning("a model in the cache was altered and is laid out again", extra={"folder": str(place)})
        _discard(place)
    if not place.exists():
        _fill(objects, tree, place)
    return place / _FOLDER


def _fill(objects: StoredObjects, tree: Digest, place: Path) -> None:
    """Lay the directory out beside its place, with the digests of its files, and move both there in one step."""
    beside = place.with_name(f"{tree}.{new_id()}.tmp")
    beside.mkdir(parents=True)
    try:
        objects.checkout(tree, beside / _FOLDER)  # checks each byte against the digest
        (beside / _NOTE).write_bytes(codec.encode(_digest_files(beside / _FOLDER)))
        beside.rename(place)
    except OSError as error:
        if not place.exists():
            raise UnavailableError(f"a model cannot be laid out in {place.parent}: {error}") from error
        log.info("another process was faster to lay out a model", extra={"folder": str(place)})
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _is_unchanged(place: Path) -> bool:
    """Whether the files are those that were noted when they were laid out."""
    try:
        noted = codec.decode((place / _NOTE).read_bytes(), dict[str, str])
        return noted == _digest_files(place / _FOLDER)
    except (OSError, InvalidInputError):
        return False


def _digest_files(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): blake3(path.read_bytes()).hexdigest() for path in files}


def _discard(place: Path) -> None:
    """Move aside first, so that nobody sees half of it."""
    aside = place.with_name(f"{place.name}.{new_id()}.old")
    try:
        place.rename(aside)
    except FileNotFoundError:  # another process discards it too
        return
    shutil.rmtree(aside, ignore_errors=True)

"""Opens models: every byte and signature checked, code run only where somebody vouches for it, and never here."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3
from msgspec import Struct

from penstock.compute.environments import open_environment
from penstock.core import codec
from penstock.core.config import Config
from penstock.core.errors import CorruptDataError, InvalidInputError, UnavailableError
from penstock.core.ids import Digest, new_id
from penstock.registry.format.golden import FILE as GOLDEN_FILE
from penstock.registry.format.loaded import LoadedModel, check_golden, load_model
from penstock.registry.format.mlmodel import read_mlmodel
from penstock.registry.runner.placement import choose_place
from penstock.registry.runner.process import ModelProcess, RunnerSettings
from penstock.registry.signing.manifest import FILE as SIGNATURE_FILE
from penstock.registry.trust.checking import check_folder
from penstock.registry.trust.types import Standing
from penstock.registry.types import ModelVersion
from penstock.storage.objects.format import parse_digest
from penstock.storage.objects.open import open_object_store
from penstock.storage.objects.stored import StoredObjects

log = logging.getLogger(__name__)

_FOLDER = "model"
_NOTE = "digests.json"  # of the files in the folder beside it


AnyModel = LoadedModel | ModelProcess
FindStanding = Callable[[Digest], Standing]  # `TrustService.get_standing`, here or at the other end of a connection


class Vetting(Struct, frozen=True, kw_only=True):
    """What stands between a model's files and its first prediction.

    Attributes:
        find_standing: tells who vouches for a model directory; asked at every load.
        settings: how a model runs that does not run in the process that asks.
    """

    find_standing: FindStanding
    settings: RunnerSettings


def set_up_vetting(find_standing: FindStanding, config: Config) -> Vetting:
    """How models are vetted and run under a configuration; no model may read what its home folder holds."""
    home = config.home
    secrets = [path for place in (home, home / "audit", home / "signing") for path in place.glob("*") if path.is_file()]
    settings = RunnerSettings(
        folder=config.cache / "runners", environments=home / "environments", forbidden=tuple(secrets)
    )
    return Vetting(find_standing=find_standing, settings=settings)


def open_model(objects: StoredObjects, version: ModelVersion, cache: Path, vetting: Vetting) -> AnyModel:
    """A model version, ready to predict; see `open_tree`.

    Raises:
        ConflictError: its files are not kept here.
    """
    return open_tree(objects, version.fast_tree or version.get_tree(), cache, vetting, name=version.uri)


def open_tree(objects: StoredObjects, tree: Digest, cache: Path, vetting: Vetting, *, name: str = "") -> AnyModel:
    """A model directory of the object store, ready to predict.

    Args:
        objects: where the directory is.
        tree: its digest.
        cache: where directories are laid out, each under its digest; several processes may share it. A copy there
            whose bytes have changed is laid out again.
        vetting: who vouches for it, and how it runs where it does not run in this process.
        name: how commands call the model.

    Raises:
        CorruptDataError: stored bytes are not what was written, or the model answers otherwise than when it was saved.
        NotFoundError: the object store has no such directory.
        AlteredError: it was signed and is not that any more, or by a key that does not count.
        NotTrustedError: loading it would run code that nobody vouches for.
        SandboxMissingError: it would run code, and this system offers no sandbox.
        EnvironmentMissingError: the packages that it needs cannot be installed.
    """
    folder, name = lay_out(objects, tree, cache), name or tree

    def check() -> None:
        """A process that died is not started again once the trust in its model was withdrawn."""
        try:
            vetting.find_standing(tree).require_trust(name, "its process would be started again")
        except UnavailableError as error:  # whoever was trusted goes on, until the server says otherwise
            log.warning("nobody can be asked who vouches for a model: %s", error, extra={"tree": tree})

    return open_folder(folder, vetting.find_standing(tree), vetting.settings, name=name, check=check)


def open_folder(
    folder: Path,
    standing: Standing,
    settings: RunnerSettings,
    *,
    name: str,
    check: Callable[[], None] = lambda: None,
) -> AnyModel:
    """A model in a folder, ready to predict; see `open_tree` and `ModelProcess`."""
    check_folder(folder, standing, name)
    place = choose_place(folder, read_mlmodel(folder))
    if place.executes:
        standing.require_trust(name, place.reason)
    elif place.requirements is None or (folder / GOLDEN_FILE).is_file():
        try:
            return _load_here(folder)
        except (CorruptDataError, InvalidInputError):
            if place.requirements is None:
                raise
            log.info("a model needs an environment of its own: %s", place.reason, extra={"folder": str(folder)})
    python = None
    if place.requirements is not None:
        python = open_environment(place.requirements, settings.environments)
    return ModelProcess(folder, settings, python=python, check=check if place.executes else lambda: None)


def close_model(model: object) -> None:
    """End the process of a model that has one; nobody asks it any more."""
    if isinstance(model, ModelProcess):
        model.close()


def needs_vouching(folder: Path) -> bool:
    """Whether anything has to be known of who vouches for a folder: it runs code, or carries a signature."""
    return (folder / SIGNATURE_FILE).is_file() or choose_place(folder, read_mlmodel(folder)).executes


def digest_folder(folder: Path) -> Digest:
    """The digest that a folder has in an object store."""
    with tempfile.TemporaryDirectory(prefix="penstock-digest-") as place:
        return open_object_store(place).put_tree(folder)


def _load_here(folder: Path) -> LoadedModel:
    model = load_model(folder)
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

"""Where a version comes from: which sources a client may name, and what the files behind them say.

Bytes are taken only from what the request itself names: the artifacts of its run, or of its logged model. Nothing is
fetched from elsewhere; a source that lies elsewhere is kept as it stands, for clients to read. A path of a machine is
taken only where the artifacts of that run or logged model lie on a disk that clients share, and is not read here.
"""

import contextlib
import json
import posixpath
import re
from typing import NoReturn
from urllib.parse import unquote, unquote_plus

import msgspec
from msgspec import Struct, structs

from penstock.catalogue.services import Services
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest, RunId
from penstock.registry.format.mlmodel import FILE, read_facts
from penstock.registry.format.types import ModelFacts
from penstock.registry.search import PROMPT_TAG
from penstock.registry.service import RegistryService
from penstock.registry.types import ModelVersion
from penstock.server.protocols.mlflow.registry.messages import find_exactly, find_version, read_stage
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.homes import find_root, logged_model_home, run_home
from penstock.tracking.locations import SCHEME

VERSIONS_TAG = "mlflow.modelVersions"  # of a logged model: the versions it became, as JSON
_PLACEHOLDERS = ("dummy-source", "prompt-template")  # prompts have no files
_OURS = ("runs", "mlflow-artifacts")  # besides models:/
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_PATH = re.compile(r"(file:(?://(?P<host>[^/]*))?)?(?P<path>/.*)", re.IGNORECASE | re.DOTALL)
_MLMODEL_LIMIT = 256 * 1024  # bytes; it is read while other writes wait
UNKNOWN = ModelFacts()


class Claim(Struct, frozen=True):
    """What a client says a version comes from; None is what it did not say."""

    source: str
    run_id: str | None
    model_id: str | None


class Origin(Struct, frozen=True, kw_only=True):
    """What a version comes from, as it is kept."""

    source: str
    location: str  # where clients download it from
    run_id: RunId | None = None
    logged_model_id: str = ""
    tree: Digest | None = None
    facts: ModelFacts = UNKNOWN


def find_origin(tx: Transaction, services: Services, claim: Claim, tags: dict[str, str]) -> Origin:
    """What a version is made from.

    Raises:
        InvalidInputError: the source is a path of a machine, leads to another host, or to what the request does not
            name; a path that lies in what the request names is none of these.
        NotFoundError: it is a version of a model that is not there.
    """
    source = claim.source
    if tags.get(PROMPT_TAG, "").lower() == "true":
        if source not in _PLACEHOLDERS:
            raise InvalidInputError(
                f"Invalid prompt source: '{source[:200]}'. Prompt sources must use an MLflow placeholder.",
                field="source",
            )
        return Origin(source=source, location=source)
    scheme = _read_scheme(source)
    if scheme in ("", "file"):
        return _find_on_disk(tx, services, claim)
    _check_uri(claim, scheme)
    if scheme == "models" and not _is_logged_model(source):
        return _copy_origin(tx, services.registry, claim)
    if claim.model_id:
        return _find_logged(tx, services, claim, claim.model_id, scheme)
    if scheme == "models":
        _refuse(source, "model_id")
    return _find_run(tx, services, claim, scheme)


def note_version(tx: Transaction, services: Services, version: ModelVersion) -> None:
    """Let the logged model that became a version say so in its tags, where clients look for it."""
    if not version.logged_model_id:
        return
    model = services.logged_models.get_logged_model.join(tx, version.logged_model_id)
    try:
        known = msgspec.json.decode(model.tags.get(VERSIONS_TAG, "[]"), type=list[dict[str, object]])
    except msgspec.DecodeError:  # a client has put something else there
        known = []
    known.append({"name": version.model, "version": version.version})
    told = {VERSIONS_TAG: json.dumps(known, ensure_ascii=False)}  # with the spaces that clients compare it with
    services.logged_models.set_logged_model_tags.join(tx, model.id, told)


def _read_scheme(source: str) -> str:
    """The scheme of a URI; empty for a path, of Windows too: a letter is a drive."""
    found = _URI.match(source)
    return found[1].lower() if found and len(found[1]) > 1 else ""


def _find_on_disk(tx: Transaction, services: Services, claim: Claim) -> Origin:
    """A path below the root of the run or logged model that the request names; nothing is read there."""
    found = _PATH.fullmatch(claim.source)
    if found and (found["host"] or "localhost").lower() != "localhost":
        raise InvalidInputError(
            f"Invalid model version source: '{claim.source[:200]}' is not a valid remote uri: file:// names no host",
            field="source",
        )
    named = "model_id" if claim.model_id else "run_id"
    root, run_id = "", claim.run_id or ""
    with contextlib.suppress(NotFoundError):
        if claim.model_id:
            model = services.logged_models.get_logged_model.join(tx, claim.model_id)
            root, run_id = model.artifact_uri, run_id or model.source_run_id
        elif run_id:
            root = find_root(tx, run_id)
    path, home = _plain_path(claim.source), _plain_path(root)
    if path is None or home is None or not f"{path}/".startswith(f"{home}/"):
        raise InvalidInputError(
            f"Invalid model version source: '{claim.source[:200]}'. To use a local path as a model version source, "
            f"{named} has to name what has its artifacts there",
            hint=f"log the model to this server, and name what it was logged to as {named}",
            field="source",
        )
    kept = Origin(source=claim.source, location=claim.source, run_id=RunId(run_id) or None)
    return structs.replace(kept, logged_model_id=claim.model_id or "")


def _plain_path(uri: str) -> str | None:
    """The path that a URI means, without anything that leads upwards; None where it means no path of a disk."""
    found = _PATH.fullmatch(uri)
    if not found:
        return None
    path = posixpath.normpath(unquote(found["path"]) if found[1] else found["path"])
    return None if "\0" in path else path


def _check_uri(claim: Claim, scheme: str) -> None:
    """Refuse a source that leads upwards, or to another host than this one."""
    source = claim.source
    rest = source[len(scheme) + 1 :]
    if scheme in ("models", "runs") and rest.startswith("//"):
        raise InvalidInputError(
            f"Invalid model version source: '{source[:200]}'. 'source' cannot use the '{scheme}' scheme to name "
            "another host",
            hint=f"log the model to this server and give its URI without a host, as in {SCHEME}... or runs:/...",
            field="source",
        )
    while (plain := unquote_plus(rest)) != rest:
        rest = plain
    if "\x00" in rest or "\\" in rest or not {".", ".."}.isdisjoint(re.split(r"[/?#;]", rest)):
        raise InvalidInputError(
            f"Invalid model version source: '{source[:200]}'. If supplying a source as an http, https, local file "
            "path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative "
            "path references present. Please provide an absolute path.",
            field="source",
        )


def _is_logged_model(source: str) -> bool:
    name = source.partition(":")[2].strip("/")
    return "/" not in name and "@" not in name


def _copy_origin(tx: Transaction, registry: RegistryService, claim: Claim) -> Origin:
    """The origin of another version, which is promoted from one model to another."""
    held = _find_source_version(tx, registry, claim.source)
    if PROMPT_TAG in registry.get_model.join(tx, held.model).tags:
        raise InvalidInputError(
            f"Invalid model version source: '{claim.source[:200]}'. Prompt versions cannot be used as model version "
            "sources.",
            field="source",
        )
    said = ((claim.run_id, held.run_id), (claim.model_id, held.logged_model_id))
    if any(given is not None and given != (kept or "") for given, kept in said):
        raise InvalidInputError(
            f"Invalid model version source: '{claim.source[:200]}'. The run_id and model_id request parameters must "
            "match the referenced model version.",
            field="source",
        )
    return Origin(
        source=held.uri,
        location=held.location or held.uri,
        run_id=held.run_id,
        logged_model_id=held.logged_model_id,
        tree=held.tree,
        facts=ModelFacts(held.flavor, held.task, held.signature, held.classes, held.label),
    )


def _find_source_version(tx: Transaction, registry: RegistryService, source: str) -> ModelVersion:
    """The version that `models:/NAME/NUMBER`, `models:/NAME/STAGE`, `models:/NAME/latest` or `NAME@ALIAS` means."""
    path = source.partition(":")[2].removeprefix("/")
    name, slash, which = path.rpartition("/")
    if slash and which.isascii() and which.isdecimal():
        return find_version(tx, registry, name, which)
    model = find_exactly(tx, registry, name if slash else path.rpartition("@")[0])
    if slash and which.lower() != "latest":
        stage = read_stage(which)
        (overview,) = registry.overview(tx, [model])
        found = next((version for version in overview.latest if version.stage is stage), None)
        if found is None:
            raise NotFoundError(f"No versions of model with name '{model.name}' and stage '{stage}' found")
        return found
    return registry.resolve.join(tx, f"models:/{path}")


def _find_logged(tx: Transaction, services: Services, claim: Claim, model_id: str, scheme: str) -> Origin:
    """What a logged model has; the source has to be that model, or a place in it."""
    try:
        model = services.logged_models.get_logged_model.join(tx, model_id)
    except NotFoundError:
        _refuse(claim.source, "model_id")
    location, path = claim.source, ""
    if scheme == "models":
        location = model.artifact_uri
        if claim.source.partition(":")[2].strip("/") != model.id:
            _refuse(claim.source, "model_id")
    elif scheme in _OURS:
        path = _path_below(claim.source, model.artifact_uri, "model_id")
    is_here = scheme in ("models", *_OURS)
    tree, facts = _read(tx, services, logged_model_home(model.id), path) if is_here else (None, UNKNOWN)
    return Origin(
        source=claim.source,
        location=location,
        run_id=RunId(claim.run_id or model.source_run_id) or None,
        logged_model_id=model.id,
        tree=tree,
        facts=facts,
    )


def _find_run(tx: Transaction, services: Services, claim: Claim, scheme: str) -> Origin:
    """What a run has, where the source is a place in its artifacts; else the source as it stands."""
    source, run_id = claim.source, claim.run_id or ""
    kept = Origin(source=source, location=source, run_id=RunId(run_id) or None)
    if scheme not in _OURS:
        return kept
    try:
        root = find_root(tx, run_id)
    except NotFoundError:
        return kept
    path = _find_path_below(source, root if scheme == "mlflow-artifacts" else f"runs:/{run_id}")
    if path is None:
        return kept
    tree, facts = _read(tx, services, run_home(run_id), path)
    return structs.replace(kept, tree=tree, facts=facts)


def _path_below(source: str, root: str, named: str) -> str:
    """The path of the source below the root of what the request names."""
    path = _find_path_below(source, root)
    return _refuse(source, named) if path is None else path


def _find_path_below(source: str, root: str) -> str | None:
    """The path of the source below a root; None where it lies elsewhere."""
    plain = re.sub(r"/+", "/", source).rstrip("/")
    if plain != root and not plain.startswith(f"{root}/"):
        return None
    return plain.removeprefix(root).strip("/")


def _read(tx: Transaction, services: Services, home: str, path: str) -> tuple[Digest | None, ModelFacts]:
    """The tree of a model directory, and what its MLmodel file says; None and nothing where no file is yet."""
    tree = services.artifacts.build_tree(tx, services.objects, home, path)
    if tree is None:
        return None, UNKNOWN
    entry = next((entry for entry in services.objects.get_tree(tree).entries if entry.name == FILE), None)
    if entry is None or entry.size > _MLMODEL_LIMIT:
        return tree, UNKNOWN
    return tree, read_facts(services.objects.get_bytes(entry.digest))


def _refuse(source: str, named: str) -> NoReturn:
    raise InvalidInputError(
        f"Invalid model version source: '{source[:200]}'. The {named} request parameter must identify the resource "
        "that contains the source.",
        field="source",
    )

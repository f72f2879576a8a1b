"""Artifacts through the server: uploads, downloads and listings, by the path of the proxy or by whose they are."""

import re
from urllib.parse import unquote, unquote_to_bytes

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from penstock.core.errors import InvalidInputError, NotFoundError, TooLargeError
from penstock.core.identity import Role
from penstock.core.ids import Digest
from penstock.registry.service import RegistryService
from penstock.registry.types import ModelVersion
from penstock.server.bodies import read_body
from penstock.server.downloads import DIGEST_HEADER, answer_file
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.errors import missing
from penstock.server.protocols.mlflow.requests import read_query
from penstock.server.receiving import receive_file
from penstock.storage.objects.format import EntryKind
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.homes import FREE_SPACE, Place, find_place, find_root, logged_model_home, run_home
from penstock.tracking.artifacts.paths import check_path
from penstock.tracking.artifacts.service import FOLDER_LIMIT, ArtifactService
from penstock.tracking.artifacts.types import FolderEntry
from penstock.tracking.locations import SCHEME

ROOTS = ("/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts")
_LONGEST_PATH = 4_000  # characters, however often they are quoted
_DRIVE = re.compile(r"[A-Za-z]:")
_VERSION = re.compile(r"model-versions/([^/]+)/(\d{1,9})(?:/(.*))?")
_SMALL_UPLOAD_BYTES = 10 * 1024 * 1024  # of the web form; everything else is streamed without a limit
_ABOVE_RUNS = re.compile(r"\d+(/[^/]+|/models/[^/]+)?")  # an experiment, with a run or its models


class FileInfo(Struct, omit_defaults=True):
    """One file or folder of a listing."""

    path: str
    is_dir: bool
    file_size: int | None = None


class FileList(Struct, omit_defaults=True):
    """A folder, one level deep."""

    files: list[FileInfo] = []


class ListRequest(Struct):
    """Which folder, by the path of the proxy."""

    path: str = ""


class RunListRequest(Struct):
    """Which folder of which run."""

    run_id: str = ""
    run_uuid: str = ""
    path: str = ""


class RunFileList(Struct, omit_defaults=True):
    """A folder of a run or logged model; paths are relative to its root."""

    root_uri: str
    files: list[FileInfo] = []


class RunFileRequest(Struct):
    """Which file of which run."""

    run_id: str = ""
    run_uuid: str = ""
    path: str = ""


class VersionFileRequest(Struct):
    """Which file of which version of a model."""

    name: str
    version: int
    path: str


class ModelFolderRequest(Struct):
    """Which folder of which logged model."""

    model_id: str
    artifact_directory_path: str = ""


class ModelFileRequest(Struct):
    """Which file of which logged model."""

    model_id: str
    artifact_file_path: str = ""


async def upload(call: Call, _: None) -> Response:
    """Keep the body as a file; it is visible, in the place of an older one, once it is whole and safe."""
    path = check_path(check_safe(proxied_path(call)))
    if _VERSION.fullmatch(path):
        raise InvalidInputError(
            f"{path[:200]!r} belongs to a version of a registered model, whose files never change",
            hint="log to a run, and register what was logged as another version",
            field="path",
        )
    place = await call.read(find_place, path)
    await call.read(call.services.artifacts.expect_file.join, place.home, place.path)
    digest, size = await receive_file(call.http, call.services.objects)
    return await _log(call, place, digest, size)


async def download(call: Call, _: None) -> Response:
    """A file, or the range of it that is asked for."""
    path = check_path(check_safe(proxied_path(call)))
    held = _VERSION.fullmatch(path)
    if held:
        tree = await call.read(_find_tree, call.services.registry, held[1], int(held[2]))
        return await _answer_tree_file(call, tree, check_path(held[3] or ""))
    return await _answer_artifact(call, await call.read(find_place, path))


async def delete(call: Call, _: None) -> None:
    """Delete a file, or a folder with all that is in it; what is not there is no error.

    The root of a run or logged model stands for all of its files; no path stands for the files of several.
    """
    await call.write(_delete, call.services.artifacts, proxied_path(call))


async def list_folder(call: Call, request: ListRequest) -> FileList:
    """A folder by the path of the proxy; entries have their bare names."""
    path = _without_dots(request.path)
    held = _VERSION.fullmatch(path.removesuffix("/"))
    if held:
        tree = await call.read(_find_tree, call.services.registry, held[1], int(held[2]))
        return FileList(await run_in_threadpool(_list_tree, call.services.objects, tree, held[3] or ""))
    entries = await call.read(_list_proxied, call.services.artifacts, path)
    return FileList([_to_info(entry, "") for entry in entries])


async def list_run_folder(call: Call, request: RunListRequest) -> RunFileList:
    """A folder of a run; entries have their paths from the run's root."""
    run_id = request.run_id or request.run_uuid
    if not run_id:
        raise missing("run_id")
    path = _without_dots(request.path)
    root = await call.read(find_root, run_id)
    return await _list_home(call, root, run_home(run_id), path)


async def list_model_folder(call: Call, request: ModelFolderRequest) -> RunFileList:
    """A folder of a logged model; entries have their paths from the model's root."""
    path = _without_dots(request.artifact_directory_path)
    model = await call.read(call.services.logged_models.get_logged_model.join, request.model_id)
    return await _list_home(call, model.artifact_uri, logged_model_home(model.id), path)


async def _list_home(call: Call, root: str, home: str, path: str) -> RunFileList:
    entries = await call.read(_list_all, call.services.artifacts, home, path)
    folder = path.removesuffix("/")
    return RunFileList(root, [_to_info(entry, f"{folder}/" if folder else "") for entry in entries])


async def download_from_run(call: Call, request: RunFileRequest) -> Response:
    """A file of a run."""
    run_id = request.run_id or request.run_uuid
    if not run_id:
        raise missing("run_id")
    return await _answer_artifact(call, Place(run_home(run_id), check_safe(_required(request.path, "path"))))


async def download_from_version(call: Call, request: VersionFileRequest) -> Response:
    """A file of a registered version, from the tree that it was registered with."""
    path = check_path(check_safe(request.path))
    version = await call.read(call.services.registry.get_version.join, request.name, request.version)
    return await _answer_tree_file(call, version.get_tree(), path)


async def download_from_model(call: Call, request: ModelFileRequest) -> Response:
    """A file of a logged model."""
    path = check_safe(_required(request.artifact_file_path, "artifact_file_path"))
    return await _answer_artifact(call, Place(logged_model_home(request.model_id), path))


async def upload_small(call: Call, _: None) -> Response:
    """Keep a small file that a web page sends for a run."""
    given = read_query(call.scope, RunFileRequest)
    run_id, path = given.get("run_uuid", ""), given.get("path", "")
    for name in ("run_uuid", "path"):
        if not given.get(name):
            raise InvalidInputError(f"Request must specify {name}.", field=name)
    check_safe(path)
    await call.read(call.services.artifacts.expect_file.join, run_home(run_id), path)
    try:
        body = await read_body(call.receive, _SMALL_UPLOAD_BYTES)
    except TooLargeError as error:
        raise InvalidInputError("Artifact size is too large. Max size is 10MB.") from error
    if not body:
        raise InvalidInputError("Request must specify data.")
    digest = await run_in_threadpool(call.services.objects.put_bytes, body)
    return await _log(call, Place(run_home(run_id), path), digest, len(body))


def version_location(version: ModelVersion) -> str:
    """Where clients find the files of a version that penstock made; the place stays when the model is renamed."""
    return f"{SCHEME}model-versions/{version.key}/{version.version}"


def check_safe(path: str) -> str:
    """The path itself, when neither it nor what it may be decoded to leads elsewhere.

    Raises:
        InvalidInputError: it does; in the two words that clients know.
    """
    if len(path) > _LONGEST_PATH:
        raise InvalidInputError("Invalid path", field="path")
    plain = path
    while (decoded := unquote(plain)) != plain:
        plain = decoded
    plain = plain.replace("\\", "/")
    if plain.startswith("/") or ".." in plain.split("/") or _DRIVE.match(plain):
        raise InvalidInputError("Invalid path", field="path")
    return path


def _without_dots(folder: str) -> str:
    """The same folder without `.` between the slashes: clients ask for all of a run's files by that name."""
    return "/".join(part for part in check_safe(folder).split("/") if part != ".")


def proxied_path(call: Call, parameter: str = "path") -> str:
    """The path in the URL, decoded once; bytes that are no UTF-8 are refused, as they would become another name."""
    try:
        unquote_to_bytes(call.http.scope["raw_path"]).decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("the path is not valid UTF-8", field=parameter) from error
    return call.path[parameter]


async def _log(call: Call, place: Place, digest: Digest, size: int) -> Response:
    await call.write(call.services.artifacts.log_file.join, place.home, place.path, digest, size)
    headers = {DIGEST_HEADER: digest, "etag": f'"{digest}"'}
    return Response(b"{}", media_type="application/json", headers=headers)


async def _answer_tree_file(call: Call, tree: Digest, path: str) -> Response:
    found = await run_in_threadpool(call.services.objects.find_file, tree, path)
    return await _answer_object(call, found.digest, path)


async def _answer_artifact(call: Call, place: Place) -> Response:
    found = await call.read(call.services.artifacts.get_file.join, place.home, place.path)
    return await _answer_object(call, found.digest, found.path)


async def _answer_object(call: Call, digest: Digest, path: str) -> Response:
    return await answer_file(call.http, call.services.objects, digest, path.rpartition("/")[2])


def _delete(tx: Transaction, artifacts: ArtifactService, path: str) -> None:
    place = find_place(tx, path)
    if place.home == FREE_SPACE and _ABOVE_RUNS.fullmatch(place.path):
        raise InvalidInputError(
            f"{path[:100]!r} lies above the artifacts of a run or logged model",
            hint="name its root, or something in it; a whole run or experiment is deleted by its own operation",
            field="path",
        )
    # The root of a run names that run and nothing else; the root of the free space names nobody.
    artifacts.delete_artifacts.join(tx, place.home, place.path, everything=place.home != FREE_SPACE)


def _list_proxied(tx: Transaction, artifacts: ArtifactService, path: str) -> list[FolderEntry]:
    place = find_place(tx, path)
    return _list_all(tx, artifacts, place.home, place.path)


def _list_all(tx: Transaction, artifacts: ArtifactService, home: str, path: str) -> list[FolderEntry]:
    """All of a folder by name: the protocol knows no pages here."""
    entries: list[FolderEntry] = []
    after = ""
    while True:
        page = artifacts.list_folder.join(tx, home, path, limit=FOLDER_LIMIT, after=after)
        entries += page.entries
        after = page.next
        if not after:
            return sorted(entries, key=lambda entry: entry.name)


def _find_tree(tx: Transaction, registry: RegistryService, key: str, number: int) -> Digest:
    version = registry.get_version.join(tx, key, number)
    if version.key != key:
        raise NotFoundError(f"the model that was made as {key!r} is not here any more")
    return version.get_tree()


def _list_tree(objects: ObjectStore, tree: Digest, path: str) -> list[FileInfo]:
    """A folder of a tree; one that is not there is empty."""
    for name in filter(None, path.split("/")):
        below = next((each for each in objects.get_tree(tree).entries if each.name == name), None)
        if below is None or below.kind is not EntryKind.FOLDER:
            return []
        tree = below.digest
    entries = [(each.name, each.kind is EntryKind.FOLDER, each.size) for each in objects.get_tree(tree).entries]
    return [FileInfo(name, is_folder, None if is_folder else size) for name, is_folder, size in entries]


def _to_info(entry: FolderEntry, prefix: str) -> FileInfo:
    return FileInfo(prefix + entry.name, entry.is_folder, entry.size_bytes)


def _required(value: str, parameter: str) -> str:
    if not value:
        raise missing(parameter)
    return value


ENDPOINTS = [
    Endpoint("GET", "artifacts/list", list_run_folder, Role.READER, RunListRequest),
    Endpoint(
        "GET", "logged-models/{model_id}/artifacts/directories", list_model_folder, Role.READER, ModelFolderRequest
    ),
    Endpoint("POST", "/ajax-api/2.0/mlflow/upload-artifact", upload_small, Role.CONTRIBUTOR),
]
for _root in ROOTS:
    ENDPOINTS += [
        Endpoint("PUT", f"{_root}/artifacts/{{path:path}}", upload, Role.CONTRIBUTOR),
        Endpoint("DELETE", f"{_root}/artifacts/{{path:path}}", delete, Role.CONTRIBUTOR),
        Endpoint("GET", f"{_root}/artifacts", list_folder, Role.READER, ListRequest),
    ]
for _method in ("GET", "HEAD"):
    ENDPOINTS += [
        *(Endpoint(_method, f"{_root}/artifacts/{{path:path}}", download, Role.READER) for _root in ROOTS),
        Endpoint(_method, "/get-artifact", download_from_run, Role.READER, RunFileRequest),
        Endpoint(_method, "/model-versions/get-artifact", download_from_version, Role.READER, VersionFileRequest),
        Endpoint(
            _method,
            "/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files",
            download_from_model,
            Role.READER,
            ModelFileRequest,
        ),
    ]

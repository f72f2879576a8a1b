"""Uploads in parts: for files so large that a client sends them in pieces, several at a time."""

import re

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from penstock.core.errors import NotFoundError
from penstock.core.identity import Role
from penstock.core.ids import Digest
from penstock.server.downloads import DIGEST_HEADER
from penstock.server.protocols.mlflow.artifacts import ROOTS, proxied_path
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.errors import missing
from penstock.server.receiving import receive_file
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.homes import Place, find_place
from penstock.tracking.artifacts.paths import check_path
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.artifacts.types import Upload, UploadPart

_SEPARATOR = re.compile(r"[/\\]")  # a client may send the path that the file has on its own machine


class CreateRequest(Struct):
    """A file that will come in parts."""

    path: str
    num_parts: int = 1


class Credential(Struct):
    """Where a part goes."""

    url: str
    part_number: int
    headers: dict[str, str]


class CreateAnswer(Struct):
    """The upload, and where each of its parts goes."""

    upload_id: str
    credentials: list[Credential]


class SentPart(Struct):
    """A part that the client has sent, with the ETag that it was answered."""

    part_number: int
    etag: str = ""


class CompleteRequest(Struct):
    """The upload is done."""

    path: str
    upload_id: str
    parts: list[SentPart]


class AbortRequest(Struct):
    """The upload is given up."""

    path: str
    upload_id: str


async def create(call: Call, request: CreateRequest) -> CreateAnswer:
    """Expect a file in parts, and say where to send them: to this server, under the name the client knows it by."""
    path = _file_path(call, request.path)
    upload = await call.write(_begin, call.services.artifacts, path, request.num_parts)
    url = call.http.url
    root = f"{url.scheme}://{url.netloc}{url.path.partition('/mpu/create')[0]}"
    shown = call.http.headers.get("authorization")  # a client sends nothing but these headers with its parts
    headers = {"Authorization": shown} if shown else {}
    numbers = range(1, upload.num_parts + 1)
    return CreateAnswer(
        upload.id, [Credential(f"{root}/mpu/parts/{upload.id}/{number}", number, headers) for number in numbers]
    )


async def put_part(call: Call, _: None) -> Response:
    """Keep a part; the same number again replaces it."""
    uploads, upload_id = call.services.artifacts.uploads, call.path["upload_id"]
    number = int(call.path["number"]) if re.fullmatch(r"[0-9]{1,6}", call.path["number"]) else 0
    await call.read(uploads.check_part, upload_id, number)
    digest, size = await receive_file(call.http, call.services.objects)
    await call.write(uploads.add_part, upload_id, UploadPart(number=number, digest=digest, size_bytes=size))
    return Response(headers={"etag": f'"{digest}"', DIGEST_HEADER: digest})


async def complete(call: Call, request: CompleteRequest) -> Response:
    """Join the parts to the file, when they are just those that the client names."""
    place = await call.read(find_place, _file_path(call, request.path))
    named = [(part.part_number, part.etag.strip().removeprefix("W/").strip('"')) for part in request.parts]
    upload, parts = await call.read(call.services.artifacts.uploads.check_parts, request.upload_id, named)
    _check_place(upload, place)
    digest = await run_in_threadpool(call.services.objects.join, [part.digest for part in parts])
    size = sum(part.size_bytes for part in parts)
    await call.write(_end, call.services.artifacts, upload, digest, size)
    headers = {DIGEST_HEADER: digest, "etag": f'"{digest}"'}
    return Response(b"{}", media_type="application/json", headers=headers)


async def abort(call: Call, request: AbortRequest) -> None:
    """Forget an upload and its parts."""
    place = await call.read(find_place, _file_path(call, request.path))
    upload = await call.read(call.services.artifacts.uploads.get, request.upload_id)
    _check_place(upload, place)
    await call.write(call.services.artifacts.uploads.end, request.upload_id)


def _file_path(call: Call, named: str) -> str:
    name = _SEPARATOR.split(named)[-1]
    if not name:
        raise missing("path")
    folder = proxied_path(call, "folder") if "folder" in call.path else ""
    return check_path(f"{folder}/{name}" if folder else name)


def _begin(tx: Transaction, artifacts: ArtifactService, path: str, num_parts: int) -> Upload:
    place = find_place(tx, path)
    artifacts.expect_file.join(tx, place.home, place.path)
    return artifacts.uploads.begin(tx, place.home, place.path, num_parts)


def _end(tx: Transaction, artifacts: ArtifactService, upload: Upload, digest: Digest, size: int) -> None:
    artifacts.uploads.end(tx, upload.id)
    artifacts.log_file.join(tx, upload.home, upload.path, digest, size)


def _check_place(upload: Upload, place: Place) -> None:
    if (upload.home, upload.path) != (place.home, place.path):
        raise NotFoundError(f"there is no upload {upload.id} of {place.path!r}")


ENDPOINTS: list[Endpoint] = []
for _root in ROOTS:
    for _folder in ("", "/{folder:path}"):
        ENDPOINTS += [
            Endpoint("POST", f"{_root}/mpu/create{_folder}", create, Role.CONTRIBUTOR, CreateRequest),
            Endpoint("POST", f"{_root}/mpu/complete{_folder}", complete, Role.CONTRIBUTOR, CompleteRequest),
            Endpoint("POST", f"{_root}/mpu/abort{_folder}", abort, Role.CONTRIBUTOR, AbortRequest),
        ]
    ENDPOINTS.append(Endpoint("PUT", f"{_root}/mpu/parts/{{upload_id}}/{{number}}", put_part, Role.CONTRIBUTOR))

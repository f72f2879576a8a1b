"""The object store's blobs over HTTP, so that a remote client reads and writes packs without the database."""

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.core import codec
from penstock.core.errors import InvalidInputError, PermissionDeniedError
from penstock.core.identity import Role
from penstock.server.bodies import read_body
from penstock.server.dispatch import API, Identify
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.received import put_received

BLOB_LIMIT_BYTES = 256 * 1024 * 1024  # a pack is about 64 MiB
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{1,15})")  # beyond any file, and far from what numbers cannot hold


def blob_routes(blobs: BlobStore, identify: Identify) -> list[Route]:
    """`GET /blobs?prefix=` lists keys; `GET`, `HEAD` and `PUT /blobs/KEY` read and create; nothing is ever replaced."""

    async def list_keys(request: Request) -> Response:
        _check(identify, request, Role.READER)
        prefix = request.query_params.get("prefix", "")
        keys = await run_in_threadpool(lambda: list(blobs.list_keys(prefix)))
        return Response(codec.encode(keys), media_type="application/json")

    async def get_blob(request: Request) -> Response:
        _check(identify, request, Role.READER)
        key = request.path_params["key"]
        if request.method == "HEAD":
            size = await run_in_threadpool(blobs.size, key)
            return Response(headers={"content-length": str(size), "accept-ranges": "bytes"})
        wanted = request.headers.get("range")
        if wanted is None:
            body = await run_in_threadpool(blobs.get, key)
            return Response(body, media_type="application/octet-stream", headers=_DOWNLOAD)
        first, last = _parse_range(wanted)
        body = await run_in_threadpool(blobs.get_range, key, first, last - first + 1)
        return Response(body, status_code=206, media_type="application/octet-stream", headers=_DOWNLOAD)

    async def put_blob(request: Request) -> Response:
        _check(identify, request, Role.CONTRIBUTOR)
        body = await read_body(request.receive, BLOB_LIMIT_BYTES)
        created = await run_in_threadpool(put_received, blobs, request.path_params["key"], body)
        return Response(codec.encode(created), media_type="application/json")

    return [
        Route(f"{API}/blobs", list_keys, methods=["GET"]),
        Route(f"{API}/blobs/{{key:path}}", get_blob, methods=["GET", "HEAD"]),
        Route(f"{API}/blobs/{{key:path}}", put_blob, methods=["PUT"]),
    ]


_DOWNLOAD = {"content-disposition": "attachment", "content-security-policy": "sandbox"}


def _parse_range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if match is None or int(match.group(2)) < int(match.group(1)):
        raise InvalidInputError(f"the range {text!r} cannot be read", hint="write bytes=FIRST-LAST")
    return int(match.group(1)), int(match.group(2))


def _check(identify: Identify, request: Request, needs: Role) -> None:
    actor = identify(request)
    if actor.role < needs:
        raise PermissionDeniedError(f"blobs need the role {needs.name.lower()}")

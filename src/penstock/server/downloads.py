"""A stored file as an answer: streamed, in whole or in part, and never run in this server's origin."""

import io
import mimetypes
import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from penstock.core import codec
from penstock.core.ids import Digest
from penstock.storage.objects.stored import StoredObjects

DIGEST_HEADER = "x-penstock-digest"
_PIECE_SIZE = 1 << 20
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")  # one range; beyond any file, and far from what numbers cannot hold
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TYPES = mimetypes.MimeTypes()  # knows the same kinds of files on every machine
_PLAIN_TEXT = re.compile(  # what people read as it stands, whatever programs make of it
    "cfg|cf|cnf|conf|csv|err|hocon|ini|ipynb|js|json|log|md|mlmodel|mlproject|prop|properties|py|py3|rst|toml|tsv|txt|"
    "xml|yaml|yml"
)


async def answer_file(request: Request, objects: StoredObjects, digest: Digest, name: str) -> Response:
    """The answer to a GET or HEAD of a file: 200, 206 for one range, 304 for what the client has, or 416.

    Args:
        request: whose headers say what is wanted.
        objects: where the file is.
        digest: of the file; also its ETag.
        name: under which it is saved; its ending says what type it has.

    Raises:
        NotFoundError, CorruptDataError: the object store cannot give the file.
        InvalidInputError: the object is a folder.
    """
    etag = f'"{digest}"'
    headers = _file_headers(name, digest)
    if _lists(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    stream = await run_in_threadpool(objects.open, digest)
    size = stream.seek(0, io.SEEK_END)
    start, end = 0, size
    wanted = request.headers.get("range", "")
    if wanted and request.headers.get("if-range", etag) == etag:
        found = find_range(wanted, size)
        if found is None:
            return _refuse_range(size)
        start, end = found
    is_part = (start, end) != (0, size)
    if is_part:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    headers["content-length"] = str(end - start)
    status = 206 if is_part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    stream.seek(start)
    first = await run_in_threadpool(stream.read, min(_PIECE_SIZE, end - start))  # fails while there is still an answer
    if len(first) == end - start:
        return Response(first, status_code=status, headers=headers)
    return StreamingResponse(_pieces(first, stream, end), status_code=status, headers=headers)


def find_range(text: str, size: int) -> tuple[int, int] | None:
    """Where the range of a `Range` header begins and ends, None when nothing of the file lies in it.

    What is no single range of bytes is passed over, as RFC 9110 has it, and means the whole file.
    """
    form = _RANGE.fullmatch(text.strip())
    if form is None or form.groups() == ("", ""):
        return 0, size
    first, last = form.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    if last and int(last) < int(first):
        return 0, size
    end = min(int(last) + 1, size) if last else size
    return (int(first), end) if int(first) < size else None


def guess_type(name: str) -> str:
    """The media type of a file by the ending of its name."""
    ending = name.rpartition(".")[2].lower()
    if _PLAIN_TEXT.fullmatch(ending):
        return "text/plain"
    return _TYPES.guess_type(name)[0] or "application/octet-stream"


def as_attachment(name: str) -> str:
    """The `Content-Disposition` that makes a browser save a file under this name, as RFC 6266 has it."""
    if _TOKEN.fullmatch(name):
        return f"attachment; filename={name}"
    plain = "".join(char if " " <= char <= "~" and char not in '"\\' else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _file_headers(name: str, digest: Digest) -> dict[str, str]:
    return {
        "content-type": guess_type(name),
        "content-disposition": as_attachment(name),
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",  # the path may have another file tomorrow; the ETag tells
        "etag": f'"{digest}"',
        DIGEST_HEADER: digest,
    }


def _lists(text: str, etag: str) -> bool:
    return text.strip() == "*" or etag in (each.strip().removeprefix("W/") for each in text.split(","))


def _refuse_range(size: int) -> Response:
    body = {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": f"the file has {size} bytes, none of them in this range",
    }
    headers = {"content-range": f"bytes */{size}"}
    return Response(codec.encode(body), status_code=416, headers=headers, media_type="application/json")


def _pieces(first: bytes, stream: BinaryIO, end: int) -> Iterator[bytes]:
    with stream:
        yield first
        while (rest := end - stream.tell()) > 0:
            yield stream.read(min(_PIECE_SIZE, rest))

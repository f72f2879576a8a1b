"""Files behind an HTTP or HTTPS address."""

import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx
from msgspec import Struct

from penstock.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)

_TIMEOUT = httpx.Timeout(30, read=300)
_PIECE = 1 << 20


class Download(Struct, frozen=True):
    """A file that was fetched, or None where it is what it was."""

    path: Path | None
    etag: str = ""
    modified: str = ""
    sha256: str = ""


def is_address(source: str) -> bool:
    """Whether a source is an HTTP address."""
    return source.startswith(("http://", "https://"))


def file_name(address: str) -> str:
    """The name of the file behind an address; InvalidInputError when the address has none."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    if not name:
        raise InvalidInputError(f"{address!r} names no file", hint="its path ends with a name such as table.csv")
    return name


def download(address: str, target: Path, *, sha256: str | None = None, etag: str = "", modified: str = "") -> Download:
    """Fetch a file, unless it is what it was.

    Args:
        address: of the file; redirects are followed.
        target: where it is written.
        sha256: what its digest has to be; None for anything.
        etag: what the server called the state of it that is known.
        modified: when the server said that it changed.

    Raises:
        NotFoundError, PermissionDeniedError, InvalidInputError: the server refuses.
        ConflictError: the digest is another one.
        UnavailableError: the server cannot be reached, or failed half-way.
    """
    headers = {"if-none-match": etag} if etag else {"if-modified-since": modified} if modified else {}
    digest, size = hashlib.sha256(), 0
    try:
        with httpx.stream("GET", address, headers=headers, follow_redirects=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return Download(None, etag, modified)
            _check_status(address, answer.status_code)
            with target.open("wb") as out:
                for piece in answer.iter_raw(_PIECE):
                    digest.update(piece)
                    size += out.write(piece)
            headers_in = answer.headers
    except httpx.InvalidURL as error:
        raise InvalidInputError(f"{address!r} is no address: {error}") from error
    except httpx.HTTPError as error:
        raise UnavailableError(f"{address} cannot be fetched: {error or type(error).__name__}") from error
    promised = headers_in.get("content-length")
    if promised is not None and int(promised) != size:
        raise UnavailableError(f"{address} ended after {size:,} of {int(promised):,} bytes", hint="try it again")
    if sha256 is not None and digest.hexdigest() != sha256.lower():
        raise ConflictError(
            f"{address} has the SHA-256 {digest.hexdigest()}, not {sha256}", hint="it changed, or was tampered with"
        )
    return Download(target, headers_in.get("etag", ""), headers_in.get("last-modified", ""), digest.hexdigest())


def _check_status(address: str, status: int) -> None:
    match status:
        case 404 | 410:
            raise NotFoundError(f"there is no file at {address}")
        case 401 | 403:
            raise PermissionDeniedError(f"{address} may not be read", hint="the server answered with a refusal")
        case code if code >= 500 or code == 429:
            raise UnavailableError(f"the server of {address} answered {code}", hint="try it again later")
        case code if code != 200:
            raise InvalidInputError(f"the server of {address} answered {code}")

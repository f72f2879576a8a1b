"""Files in a bucket of S3, Google Cloud Storage or Azure, found by a name or a pattern."""

import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from penstock.core.errors import InvalidInputError, NotFoundError, UnavailableError

SCHEMES = ("s3", "gs", "az")
_WILD = "*?["


def is_bucket(source: str) -> bool:
    """Whether a source lies in a bucket."""
    return urlsplit(source).scheme in SCHEMES


def fetch_files(source: str, folder: Path) -> tuple[dict[str, Path], str]:
    """Fetch the files that a URL names, by a path or a pattern in which `*` also stands for `/`.

    Args:
        source: such as `s3://shop/orders/*.parquet`.
        folder: where they are written.

    Returns:
        The files by their paths below the fixed part of the pattern, and what the store calls their states together.

    Raises:
        InvalidInputError: the URL names no bucket.
        NotFoundError: there is no such file.
        UnavailableError: the store cannot be read.
    """
    parts = urlsplit(source)
    path = parts.path.lstrip("/")
    if not parts.netloc or not path:
        raise InvalidInputError(f"{source!r} names no file in a bucket", hint="write s3://BUCKET/PATH/*.parquet")
    fixed = path[: min((path.index(sign) for sign in _WILD if sign in path), default=len(path))]
    base = fixed.rpartition("/")[0]
    try:
        store = from_url(f"{parts.scheme}://{parts.netloc}", client_options={"allow_http": True})
        found = {
            str(item["path"]): str(item.get("e_tag") or item["last_modified"])
            for page in obstore.list(store, base or None)
            for item in page
            if fnmatch.fnmatchcase(str(item["path"]), path)
        }
        files: dict[str, Path] = {}
        for name in sorted(found):
            target = folder / f"{len(files)}"
            with target.open("wb") as out:
                for piece in obstore.get(store, name).stream():
                    out.write(bytes(piece))
            files[name.removeprefix(f"{base}/") if base else name] = target
    except (BaseError, OSError, ValueError) as error:
        problem = f"{source} cannot be read: {str(error).splitlines()[0]}"
        raise UnavailableError(problem, hint="credentials come from the environment") from error
    if not files:
        raise NotFoundError(f"there is no file {source}")
    return files, " ".join(found[name] for name in sorted(found))

"""A file behind an address is fetched whole, compared with its digest, and not again while it is what it was."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from penstock.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    UnavailableError,
)
from penstock.datasets.sources.http import download, file_name

BODY = b"a,b\n1,2\n" * 50_000


class Answers(BaseHTTPRequestHandler):
    """Answers by the path that is asked for."""

    def do_GET(self) -> None:
        match self.path:
            case "/table.csv" if self.headers.get("if-none-match") == '"v1"':
                self._answer(304)
            case "/table.csv":
                self._answer(200, BODY, etag='"v1"')
            case "/dated.csv" if self.headers.get("if-modified-since"):
                self._answer(304)
            case "/dated.csv":
                self._answer(200, BODY, **{"last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"})
            case "/moved.csv":
                self._answer(302, location="/table.csv")
            case "/short.csv":
                self._answer(200, BODY[:-10], **{"content-length": str(len(BODY))})
            case path:
                self._answer(int(path[1:4]))

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_file_is_fetched_once(server: str, tmp_path: Path) -> None:
    first = download(f"{server}/table.csv", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY
    assert (first.etag, first.sha256) == ('"v1"', hashlib.sha256(BODY).hexdigest())
    assert download(f"{server}/table.csv", tmp_path / "y", etag=first.etag).path is None
    assert download(f"{server}/table.csv", tmp_path / "y", etag='"v0"').path is not None
    dated = download(f"{server}/dated.csv", tmp_path / "x")
    assert download(f"{server}/dated.csv", tmp_path / "y", modified=dated.modified).path is None
    assert download(f"{server}/moved.csv", tmp_path / "x").etag == '"v1"'


def test_a_file_has_to_be_what_was_said(server: str, tmp_path: Path) -> None:
    right = hashlib.sha256(BODY).hexdigest()
    assert download(f"{server}/table.csv", tmp_path / "x", sha256=right.upper()).path is not None
    with pytest.raises(ConflictError, match=f"has the SHA-256 {right}, not {'0' * 64}"):
        download(f"{server}/table.csv", tmp_path / "x", sha256="0" * 64)


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("404", NotFoundError, "there is no file at"),
        ("403", PermissionDeniedError, "may not be read"),
        ("503", UnavailableError, "answered 503"),
        ("204", InvalidInputError, "answered 204"),
        ("short.csv", UnavailableError, "short.csv"),
    ],
)
def test_a_server_that_does_not_give_the_file_is_named(
    path: str, kind: type[PenstockError], said: str, server: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said):
        download(f"{server}/{path}", tmp_path / "x")


def test_an_address_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9/x cannot be fetched"):
        download("http://127.0.0.1:9/x", tmp_path / "x")
    with pytest.raises(InvalidInputError, match="names no file"):
        file_name("http://127.0.0.1/")
    assert file_name("http://x/a/b%20c.csv?y=1") == "b c.csv"

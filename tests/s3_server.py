"""A real HTTP server of the S3 API on a free port of loopback: moto's, which counts requests and fails on demand."""

import contextlib
import itertools
import logging
import os
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import certifi
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION = "us-east-1"
SECRET = "a-secret-that-nobody-prints"
_END = "-----END CERTIFICATE-----\n"
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Request(NamedTuple):
    """What was asked of the server."""

    method: str
    path: str
    query: str
    creates: bool  # asks for "only if absent"


Answer = Callable[[Request], tuple[int, str] | None]


class S3Server:
    """One server; each test takes a bucket of its own.

    Attributes:
        requests: all so far.
        answer: asked at each request; a status and code that it gives are the answer instead of moto's.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Answer = lambda request: None
        self._creating = threading.Lock()
        self._app: WsgiApp = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True)
        self._folder = tempfile.TemporaryDirectory()
        self._certificate = Path(self._folder.name, "one.pem")  # a client refuses to begin without any
        self._certificate.write_text(certifi.contents().partition(_END)[0] + _END)
        self._numbers = itertools.count(1)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process has to be told to reach it."""
        return {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "SSL_CERT_FILE": str(self._certificate),
        }

    def new_bucket(self) -> str:
        """An empty bucket as `s3://NAME`."""
        name = f"bucket-{next(self._numbers)}-{os.getpid()}"
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT")):
            return f"s3://{name}"

    @contextlib.contextmanager
    def counting(self) -> Iterator[list[Request]]:
        """The requests of a `with` block; parts of multipart uploads are left out when it ends."""
        counted: list[Request] = []
        start = len(self.requests)
        yield counted
        counted += [each for each in self.requests[start:] if not parse_qs(each.query, True).keys() & {"uploadId"}]

    @contextlib.contextmanager
    def answering(self, answer: Answer) -> Iterator[None]:
        """Answer for the server in a `with` block."""
        self.answer, before = answer, self.answer
        try:
            yield
        finally:
            self.answer = before

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._folder.cleanup()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, creates = environ["REQUEST_METHOD"], "HTTP_IF_NONE_MATCH" in environ
        request = Request(method, environ["PATH_INFO"], environ["QUERY_STRING"], creates)
        self.requests.append(request)
        told = self.answer(request)
        if told is None and creates:
            with self._creating:  # S3 looks and writes at once; moto does one after the other
                return list(self._app(environ, start_response))
        if told is None:
            return self._app(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = told
        start_response(f"{status} {code}", [("content-type", "application/xml")])
        return [f"<Error><Code>{code}</Code></Error>".encode() if method != "HEAD" else b""]


@contextlib.contextmanager
def running() -> Iterator[S3Server]:
    """A server, and the environment that leads to it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = S3Server()
    before = dict(os.environ)
    os.environ.update(server.environment)
    try:
        yield server
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.close()

"""Asks a running MLflow server, with patience."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from penstock.core.errors import (
    InvalidInputError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    UnavailableError,
)
from penstock.sdk.mlflow_import.source import UnreadableArtifactsError

API = "/api/2.0/mlflow/"
_TIMEOUT_S = 120.0
_PAUSES_S = (0.2, 1.0, 5.0)  # before a server that is busy or away for a moment is asked again
_BUSY = (429, 502, 503, 504)


class RestClient:
    """A server; it is asked with the credentials that MLflow's own clients take from the environment.

    Attributes:
        label: its URL without credentials.
    """

    def __init__(self, url: str) -> None:
        parsed = httpx.URL(url.rstrip("/"))
        self.label = str(parsed.copy_with(username=None, password=None)) if parsed.userinfo else str(parsed)
        headers, auth = {}, None
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            headers["authorization"] = f"Bearer {token}"
        elif user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            auth = httpx.BasicAuth(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
        self._http = httpx.Client(
            base_url=parsed, headers=headers, auth=auth, timeout=_TIMEOUT_S, follow_redirects=True
        )

    def pages(self, method: str, path: str, field: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What an endpoint lists, page by page."""
        token = ""
        while True:
            answer = self.ask(method, path, asked | ({"page_token": token} if token else {}))
            yield from answer.get(field) or ()
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def ask(self, method: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What an endpoint answers.

        Args:
            method: of HTTP.
            path: below `/api/2.0/mlflow/`, or one that begins with a slash.
            asked: parameters or body.

        Raises:
            NotFoundError: the server has no such thing, or no such endpoint.
            InvalidInputError: it refuses, or is no MLflow server.
            UnavailableError: it cannot be reached, or fails, again and again.
        """
        options: dict[str, Any] = {"params": asked} if method == "GET" else {"json": asked}
        where = path if path.startswith("/") else API + path
        for pause_s in (*_PAUSES_S, None):
            try:
                response = self._http.request(method, where, **options)
            except httpx.TransportError as error:
                if pause_s is None:
                    raise self._unreachable(error) from error
            else:
                if response.status_code not in _BUSY or pause_s is None:
                    return self._read(response, path)
            time.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    def download(self, path: str, asked: dict[str, str], target: Path) -> None:
        """Write an artifact to a file.

        Raises:
            UnreadableArtifactsError: the server cannot give it.
            UnavailableError: the server cannot be reached.
        """
        for pause_s in (*_PAUSES_S, None):
            try:
                with self._http.stream("GET", path, params=asked) as response:
                    if response.is_success:
                        with target.open("wb") as file:
                            for part in response.iter_bytes(1 << 20):
                                file.write(part)
                        return
                    response.read()
                    if response.status_code not in _BUSY:
                        raise UnreadableArtifactsError(f"the server cannot give it: {_told(response)}")
                    if pause_s is None:
                        raise self._refused(response)
            except httpx.TransportError as error:
                if pause_s is None:
                    raise self._unreachable(error) from error
            time.sleep(pause_s)

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def _read(self, response: httpx.Response, path: str) -> dict[str, Any]:
        if response.is_error:
            raise self._refused(response)
        try:
            answer = response.json()  # Python's own reader: MLflow writes NaN where JSON has none
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise InvalidInputError(
                f"{self.label} is not an MLflow server: its answer to {path} is no JSON",
                hint="name the address that MLFLOW_TRACKING_URI has",
            )
        return answer

    def _unreachable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"no MLflow server answers at {self.label}: {str(error) or type(error).__name__}",
            hint="see that it runs; then import again, which goes on where it stopped",
        )

    def _refused(self, response: httpx.Response) -> PenstockError:
        where = f"{self.label}{response.request.url.path}"
        if response.status_code in (401, 403):
            return PermissionDeniedError(
                f"{where} refuses us: {_told(response)}",
                hint="set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            )
        if response.status_code >= 500 or response.status_code == 429:
            return UnavailableError(f"{where} failed: {_told(response)}", hint="import again, which goes on from here")
        kind = NotFoundError if response.status_code in (404, 405) else InvalidInputError
        return kind(f"{where} answered: {_told(response)}", hint="is this an MLflow server?")


def _told(response: httpx.Response) -> str:
    told = f"{response.status_code} {response.reason_phrase}"
    with contextlib.suppress(ValueError, AttributeError):
        told = response.json().get("message") or told
    return told[:500]

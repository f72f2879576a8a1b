"""The bare protocol: requests as any language would send them, and what has to hold of every answer."""

import json
from types import TracebackType
from typing import Any, Self

import requests

TIMEOUT_S = 30


class Api:
    """Sends requests to a tracking server.

    Args:
        url: where the server answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """The answer to one request; a path without a leading slash lies below /api/2.0/mlflow/."""
        where = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        answer = self._session.request(method, self.url + where, timeout=TIMEOUT_S, **options)
        assert answer.status_code < 500 or answer.status_code == 501, f"{method} {where}: {answer.text[:500]}"
        return answer

    def get(self, path: str, /, **query: Any) -> Any:
        """The JSON of a GET that succeeds."""
        return read(self.send("GET", path, params=query))

    def post(self, path: str, body: dict[str, Any] | None = None, /, **fields: Any) -> Any:
        """The JSON of a POST that succeeds."""
        return read(self.send("POST", path, json={**(body or {}), **fields}))

    def patch(self, path: str, /, **fields: Any) -> Any:
        """The JSON of a PATCH that succeeds."""
        return read(self.send("PATCH", path, json=fields))

    def delete(self, path: str, /, **fields: Any) -> Any:
        """The JSON of a DELETE that succeeds."""
        return read(self.send("DELETE", path, json=fields))

    def refused(self, method: str, path: str, code: str, status: int, *words: str, **options: Any) -> str:
        """The message of a request that has to be refused.

        Args:
            method: of the request.
            path: of the request.
            code: the name that clients branch on.
            status: of HTTP.
            words: what the message has to say, among others.
            options: as `send` takes them.
        """
        answer = self.send(method, path, **options)
        assert answer.status_code == status, f"{answer.status_code} {answer.text[:500]}"
        told = answer.json()
        assert told["error_code"] == code, told
        for word in words:
            assert word in told["message"], told
        return str(told["message"])

    def raw(self, path: str, body: str | bytes, kind: str = "application/json") -> requests.Response:
        """The answer to a POST whose body is exactly these bytes."""
        return self.send("POST", path, data=body, headers={"Content-Type": kind})


def read(answer: requests.Response) -> Any:
    """The JSON of an answer that says yes."""
    assert answer.status_code == 200, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}"
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json", answer.headers
    return json.loads(answer.text)

"""A whole server behind real HTTP, spoken to in MLflow's protocol as it stands on the wire."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from patience import PATIENCE_S
from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.clock import ManualClock
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.server.app import build_server
from serving_http import serve

ACTOR = Actor("ada", Role.ADMIN)
API = "/api/2.0/mlflow/"


@dataclass
class World:
    """A server, and what it works with.

    Attributes:
        clock: the server's; it moves only when a test moves it.
    """

    services: Services
    client: httpx.Client
    clock: ManualClock

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        """The answer to a request; the path is below /api/2.0/mlflow/ unless it begins with a slash."""
        url = path if path.startswith("/") else API + path
        return self.client.request(method, url, json=body, params=query)

    def get(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON of an answer, which has to be a good one."""
        answer = self.ask(method, path, body, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refuse(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str, str]:
        """Status, name and message of an answer, which has to be a refusal."""
        answer = self.ask(method, path, body, **query)
        assert 400 <= answer.status_code < 500, answer.text
        told = answer.json()
        assert set(told) == {"error_code", "message"}
        return answer.status_code, told["error_code"], told["message"]


@contextlib.contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """A server with nothing in it but the experiment Default."""
    clock = ManualClock()
    config = Config(home=folder)
    services = open_app(config, clock=clock, actor=ACTOR)
    try:
        with (
            serve(build_server(services, config=config, owner=ACTOR, project=None)) as url,
            httpx.Client(base_url=url, timeout=PATIENCE_S) as client,
        ):
            yield World(services, client, clock)
    finally:
        services.close()

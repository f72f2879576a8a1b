"""A worker says how it is: alive whatever happens, ready while its server gives it work."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.errors import ConflictError, UnavailableError
from penstock.core.identity import Actor, Role
from penstock.processes.worker_health import WorkerHealth


class Idle:
    """A worker without work."""

    run = ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = open_app(Config(home=tmp_path), actor=Actor("ada", Role.ADMIN))
    yield services
    services.close()


def make(services: Services, home: Path, **settings: object) -> WorkerHealth:
    return WorkerHealth(Idle(), services, Config(home=home, **settings))  # type: ignore[arg-type]


def test_without_a_port_nothing_listens(services: Services, tmp_path: Path) -> None:
    with make(services, tmp_path).serving():
        pass


def test_a_worker_is_ready_while_its_server_answers(services: Services, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    client = httpx.Client(transport=httpx.HTTPTransport(retries=20))
    with client, make(services, tmp_path, worker_port=port).serving():
        assert client.get(f"{url}/ready").json() == {"ready": True, "problems": []}

        def away() -> int:
            raise UnavailableError("nobody answers")

        object.__setattr__(services, "governance", type("Away", (), {"head": staticmethod(away)}))
        answer = client.get(f"{url}/ready")
        assert answer.status_code == 503
        assert answer.json()["problems"] == [{"check": "server", "problem": "the server gives no work: nobody answers"}]
        assert client.get(f"{url}/health").text == "OK"
        page = client.get(f"{url}/metrics").text
    names = {family.name for family in text_string_to_metric_families(page)}
    assert {"penstock_worker_runs", "process_cpu_seconds", "penstock_disk_free_bytes"} <= names


def test_metrics_need_the_token_and_health_does_not(services: Services, tmp_path: Path) -> None:
    port = free_port()
    client = httpx.Client(transport=httpx.HTTPTransport(retries=20), base_url=f"http://127.0.0.1:{port}")
    with client, make(services, tmp_path, worker_port=port, token="a-token-of-some-length").serving():
        assert client.get("/health").status_code == 200
        assert client.get("/metrics").status_code == 401
        shown = {"authorization": "Bearer a-token-of-some-length"}
        assert client.get("/metrics", headers=shown).status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 403


def test_a_port_that_is_taken_is_told(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        health = make(services, tmp_path, worker_port=taken.getsockname()[1])
        monkeypatch.setattr("penstock.processes.worker_health.PORT_WAIT_S", 0.0)
        with pytest.raises(ConflictError, match="PENSTOCK_WORKER_PORT"), health.serving():
            pass

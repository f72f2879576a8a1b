"""Liveness is not readiness: `/ready` names all that is missing, and comes back by itself; `/metrics` is whole."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from patience import PATIENCE_S
from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core import health
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.core.project.parse import parse_project
from penstock.monitoring.incidents.types import Signal
from penstock.server import readiness
from penstock.server.app import build_server
from serving_http import serve
from shop_world import DAY, PROJECT, START

OWNER = Actor("ada", Role.ADMIN)


class Running(NamedTuple):
    url: str
    services: Services
    home: Path

    def ready(self) -> httpx.Response:
        return httpx.get(f"{self.url}/ready", timeout=PATIENCE_S)

    def checks(self) -> list[str]:
        return [problem["check"] for problem in self.ready().json()["problems"]]

    def samples(self) -> dict[tuple[str, str], float]:
        answer = httpx.get(f"{self.url}/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = list(text_string_to_metric_families(answer.text))
        assert len({family.name for family in families}) == len(families)
        return {
            (sample.name, ",".join(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(readiness, "KEPT_S", 0.0)
    monkeypatch.setattr(readiness, "WRITE_TIMEOUT_S", 0.3)
    config = Config(home=tmp_path)
    services = open_app(config, actor=OWNER)
    app = build_server(services, config=config, owner=OWNER, project=parse_project(PROJECT, root=tmp_path))
    with serve(app) as url:
        yield Running(url, services, tmp_path)
    services.close()


def test_a_server_is_ready_when_it_can_work(running: Running) -> None:
    assert running.ready().json() == {"ready": True, "problems": []}
    assert running.ready().status_code == 200


def test_a_database_that_takes_no_writes_is_named_and_the_server_lives(running: Running) -> None:
    with sqlite3.connect(running.home / "penstock.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = running.ready()
        assert (answer.status_code, running.checks()) == (503, ["database"])
        assert "no write was done" in answer.text
        assert httpx.get(f"{running.url}/health").text == "OK"
        other.execute("ROLLBACK")
    other.close()
    for _ in range(50):
        if running.ready().is_success:
            return
    raise AssertionError("it never came back")


def test_a_schema_of_another_penstock_is_named(running: Running) -> None:
    db = running.services.tokens.db
    db.write(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    assert running.checks() == ["schema"]
    assert "9999" in running.ready().text


def test_a_disk_without_room_is_named(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(running.home)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: usage._replace(free=1 << 20))
    assert running.checks() == ["disk"]
    assert "1.0 MiB are left" in running.ready().text


def test_whoever_asks_often_gets_the_last_answer_and_nothing_is_written(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "KEPT_S", 60.0)
    assert running.ready().is_success
    monkeypatch.setattr(readiness.ServerReadiness, "_check_database", None)
    assert running.ready().is_success


def test_every_figure_that_an_operator_needs_is_there(running: Running) -> None:
    services = running.services
    lease = services.incidents.hold_lease("shop", "a", 60.0)
    assert lease is not None
    moved = Signal(key="seen:a", deployment="shop", kind="drift", since=START, until=START + DAY, summary="it moved")
    services.incidents.apply_signals("shop", [moved], lease.fence)
    services.incidents.request_test("shop", "hook")
    services.pipelines.request_run("shop")
    assert services.loop.hold_lease("shop", "a", 60.0) is not None
    seen = running.samples()
    assert seen["process_cpu_seconds_total", ""] > 0
    assert seen["process_resident_memory_bytes", ""] > 1e6
    assert 0 < seen["penstock_disk_free_bytes", ""] <= seen["penstock_disk_size_bytes", ""]
    assert seen["penstock_writer_queue_length", ""] == 0
    assert seen["penstock_alert_deliveries", "waiting"] == 1
    assert seen["penstock_alert_deliveries", "dead"] == 0
    assert seen["penstock_pipeline_runs", "scheduled"] == 1
    assert seen["penstock_incidents", "shop,notice,open"] == 1
    assert 0 < seen["penstock_lease_remaining_seconds", "loop/shop"] <= 60
    assert 0 < seen["penstock_lease_remaining_seconds", "alerts/shop"] <= 60
    assert seen["penstock_retrain_budget", "shop"] == 3
    assert seen["penstock_retrain_budget_spent", "shop"] == 0
    assert seen["penstock_false_alarm_budget", "shop"] == 1
    assert not any(name == "penstock_lease_remaining_seconds" and label == "ready" for name, label in seen)


def test_names_follow_the_conventions(running: Running) -> None:
    families = list(text_string_to_metric_families(httpx.get(f"{running.url}/metrics").text))
    for family in families:
        assert family.documentation, family.name
        assert family.name.startswith(("penstock_", "process_"))
        assert not family.name.endswith(("_ms", "_milliseconds", "_mb", "_percent"))
        assert all(
            set(sample.labels) <= {"deployment", "severity", "status", "lease", "project", "gateway", "version"}
            for sample in family.samples
        )

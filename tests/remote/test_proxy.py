"""The same verbs in this process and over HTTP: one suite for both."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from factories import TESTER, open_database
from penstock.core.config import Config
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError, PenstockError, UnavailableError
from penstock.core.ids import RunId
from penstock.governance import api as governance_api
from penstock.governance.ledger import Ledger
from penstock.governance.service import GovernanceService
from penstock.remote.proxy import Connection, ServiceProxy
from penstock.server.dispatch import http_routes
from penstock.server.guard import HostGuard, answer_error, answer_failure
from penstock.server.identity import Identifier
from penstock.storage.database import Database
from penstock.tracking import api as tracking_api
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.service import TrackingService
from penstock.tracking.types import Metric
from serving_http import serve

ROUTES = {
    "experiments": tracking_api.EXPERIMENT_ROUTES,
    "tracking": tracking_api.ROUTES,
    "governance": governance_api.ROUTES,
}


@dataclass
class Sides:
    """The services as a caller has them, and the URL where they are served."""

    experiments: ExperimentService
    tracking: TrackingService
    governance: GovernanceService
    url: str


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(tmp_path)
    Ledger(db, None)
    yield db
    db.close()


@pytest.fixture
def url(db: Database) -> Iterator[str]:
    services: dict[str, Any] = {
        "experiments": ExperimentService(db),
        "tracking": TrackingService(db),
        "governance": GovernanceService(db),
    }
    config = Config()
    app = Starlette(
        routes=http_routes(ROUTES, services, Identifier(config, TESTER)),
        exception_handlers={PenstockError: answer_error, Exception: answer_failure},
    )
    with serve(HostGuard(app, config)) as url:
        yield url


@pytest.fixture(params=["in process", "over HTTP"])
def sides(request: pytest.FixtureRequest, db: Database, url: str) -> Iterator[Sides]:
    if request.param == "in process":
        yield Sides(ExperimentService(db), TrackingService(db), GovernanceService(db), url)
        return
    connection = Connection(url)
    proxies: dict[str, Any] = {name: ServiceProxy(connection, routes) for name, routes in ROUTES.items()}
    yield Sides(proxies["experiments"], proxies["tracking"], proxies["governance"], url)
    connection.close()


def test_a_run_comes_back_as_it_was_recorded(sides: Sides) -> None:
    run = sides.tracking.create_run("shop", name="first")
    sides.tracking.log_batch(run.id, metrics=[Metric("loss", 0.25, 3)], params={"rate": "0.1"}, tags={"team": "a/b"})
    found = sides.tracking.get_run(run.id)
    assert (found.name, found.params, found.tags) == ("first", {"rate": "0.1"}, {"team": "a/b"})
    assert (found.metrics["loss"].number, found.metrics["loss"].step) == (0.25, 3)


def test_what_is_missing_raises_the_same_error(sides: Sides) -> None:
    with pytest.raises(NotFoundError, match="no-such-run"):
        sides.tracking.get_run(RunId("no-such-run"))


def test_a_conflict_raises_the_same_error(sides: Sides) -> None:
    run = sides.tracking.create_run("shop")
    sides.tracking.log_batch(run.id, params={"rate": "0.1"})
    with pytest.raises(ConflictError, match="rate"):
        sides.tracking.log_batch(run.id, params={"rate": "0.2"})


def test_every_change_of_state_leaves_an_audit_event(sides: Sides) -> None:
    sides.experiments.create_experiment("shop")
    assert sides.governance.list_events()[-1].action == "tracking.create_experiment"


def test_an_unknown_argument_is_named_with_the_nearest(url: str) -> None:
    answer = httpx.post(f"{url}/api/v1/experiments", json={"nam": "x"})
    assert answer.status_code == 422
    assert answer.json() == {
        "error_code": "INVALID_INPUT",
        "message": "there is no field 'nam' here",
        "hint": "did you mean 'name'?",
        "field": "nam",
    }


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"name": 3}', b""])
def test_bad_bodies_are_refused_with_a_reason(url: str, body: bytes) -> None:
    answer = httpx.post(f"{url}/api/v1/experiments", content=body)
    assert answer.status_code == 422
    assert answer.json()["error_code"] == "INVALID_INPUT"


def test_a_repeated_call_with_its_key_changes_nothing(url: str) -> None:
    send = {"json": {"name": "once"}, "headers": {"idempotency-key": "k1"}}
    first = httpx.post(f"{url}/api/v1/experiments", **send)  # type: ignore[arg-type]
    second = httpx.post(f"{url}/api/v1/experiments", **send)  # type: ignore[arg-type]
    assert first.status_code == 200
    assert first.json() == second.json()
    events = httpx.get(f"{url}/api/v1/audit/events").json()
    assert [event["action"] for event in events] == ["tracking.create_experiment"]
    other = httpx.post(f"{url}/api/v1/experiments", json={"name": "two"}, headers={"idempotency-key": "k1"})
    assert other.status_code == 409


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}])
def test_a_page_of_another_site_is_refused(url: str, headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = httpx.request(method, f"{url}/api/v1/experiments", headers=headers)
        assert answer.status_code == 403


def test_a_server_that_is_away_is_said_so() -> None:
    connection = Connection("http://127.0.0.1:9", patience_s=0.2)
    proxy: Any = ServiceProxy(connection, tracking_api.ROUTES)
    with pytest.raises(UnavailableError, match="no penstock server answers at"):
        proxy.list_runs()
    connection.close()


def test_an_argument_of_the_wrong_type_in_the_path_or_query_is_named(url: str) -> None:
    answer = httpx.get(f"{url}/api/v1/experiments", params={"limit": "many"})
    assert answer.status_code == 422
    assert answer.json()["field"] == "limit"


def test_errors_of_arguments_arrive_with_their_field(sides: Sides) -> None:
    with pytest.raises(InvalidInputError):
        sides.experiments.create_experiment("")


class _Lossy(Connection):
    """A connection that loses the first answer, as a server that is killed right after its commit does."""

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        super().request(method, path, **options)
        return super().request(method, path, **options)


def test_a_call_whose_answer_was_lost_counts_once(url: str, db: Database) -> None:
    connection = _Lossy(url)
    tracking: Any = ServiceProxy(connection, tracking_api.ROUTES)
    run = tracking.create_run("shop")
    tracking.log_batch(run.id, metrics=[Metric("loss", 0.5, 1)])
    here = TrackingService(db)
    assert len(here.list_runs("shop")) == 1
    assert len(here.metric_history(run.id, "loss").points) == 1
    connection.close()

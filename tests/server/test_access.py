"""Who gets in: every route and identity, tokens in all the ways that clients show them, browsers' sessions."""

import base64
import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from msgspec import structs
from starlette.routing import Mount, Route

from patience import PATIENCE_S, wait_until
from penstock.app.app import open_app
from penstock.catalogue.services import ROUTES, Services
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.server.app import build_server
from penstock.server.dispatch import API
from penstock.server.identity import COOKIE, STALE_S, read_authorization
from penstock.server.protocols.mlflow.app import full_paths
from penstock.server.protocols.mlflow.table import ENDPOINTS
from penstock.server.web.sign_in import local_path
from serving_http import serve

OWNER = Actor("ada", Role.ADMIN)
ROLES = [role for role in Role if role is not Role.NOBODY]
SECRETS = (None, "wrong", "pst_" + "0" * 56)  # none of them is one
OTHERS = {  # than the tables of operations; what is not named needs the role reader
    ("GET", "/health"): Role.NOBODY,
    ("GET", "/ready"): Role.NOBODY,
    ("GET", "/sign-in"): Role.NOBODY,
    ("POST", "/sign-in"): Role.NOBODY,
    ("PUT", f"{API}/blobs/{{key:path}}"): Role.CONTRIBUTOR,
    ("POST", "/deployments/{deployment}/try"): Role.CONTRIBUTOR,
    ("POST", "/incidents/{incident}/acknowledge"): Role.CONTRIBUTOR,
    ("POST", "/incidents/{incident}/resolve"): Role.MAINTAINER,
}
BROWSER = {"accept": "text/html"}


@dataclass
class Gate:
    url: str
    services: Services
    secrets: dict[Role, str]

    def ask(self, method: str, path: str, secret: str | None = None, **options: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}"} if secret is not None else {}
        return httpx.request(method, self.url + path, headers=headers, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def open_gate(folder: Path, **settings: object) -> Iterator[Gate]:
    config = structs.replace(Config(home=folder), **settings)
    services = open_app(config, actor=OWNER)
    try:
        secrets = {
            role: services.tokens.create_token(role.name.lower(), role.name.lower()).secret  # type: ignore[arg-type]
            for role in ROLES
        }
        app = build_server(services, config=config, owner=OWNER, project=None, owner_token="the owner's")
        with serve(app) as url:
            yield Gate(url, services, secrets)
    finally:
        services.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A server with a token for each role."""
    with open_gate(tmp_path_factory.mktemp("gate")) as gate:
        yield gate


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Gate]:
    """A server on loopback for which no token was ever made."""
    services = open_app(Config(home=tmp_path), actor=OWNER)
    with serve(build_server(services, config=Config(home=tmp_path), owner=OWNER, project=None)) as url:
        yield Gate(url, services, {})
    services.close()


def operations(services: Services) -> list[tuple[str, str, Role]]:
    """Every method and path that the server answers, with the role that it needs."""
    found = [(route.method, API + route.path, route.needs) for table in ROUTES.values() for route in table]
    found += [(e.method, path, e.needs) for e in ENDPOINTS for path in full_paths(e)]
    known = {(method, path) for method, path, _ in found}
    for route in routes_of(services):
        if isinstance(route, Mount):
            found.append(("GET", f"{route.path}/style.css", Role.NOBODY))
            continue
        for method in (route.methods or set()) - {"HEAD"}:
            if (method, route.path) not in known:
                found.append((method, route.path, OTHERS.get((method, route.path), Role.READER)))
    return [(method, re.sub(r"\{\w+(:\w+)?\}", "x", path), needs) for method, path, needs in found]


def routes_of(services: Services) -> list[Route]:
    app = build_server(services, config=Config(), owner=OWNER, project=None)
    while not hasattr(app, "routes"):
        app = app._app  # type: ignore[attr-defined]  # a layer around it
    return app.routes


def roles_to_try(needs: Role, *, is_thorough: bool) -> list[Role]:
    """All, or the highest role that is refused and the lowest that is not."""
    below, others = [role for role in ROLES if role < needs], [role for role in ROLES if role >= needs]
    return ROLES if is_thorough else below[-1:] + others[:1]


@pytest.mark.sampled
def test_every_operation_is_refused_to_whoever_may_not_and_only_to_them(
    gate: Gate, request: pytest.FixtureRequest
) -> None:
    is_thorough = request.config.getoption("--thorough")
    held = operations(gate.services)
    assert len(held) > 80
    with httpx.Client(base_url=gate.url, timeout=PATIENCE_S) as client:
        for number, (method, path, needs) in enumerate(held):
            for secret in SECRETS if is_thorough else SECRETS[number % len(SECRETS) :][:1]:
                headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
                refused = client.request(method, path, headers=headers)
                assert (refused.status_code == 401) == (
                    needs is not Role.NOBODY or (method, path) == ("POST", "/sign-in")
                )
            for role in roles_to_try(needs, is_thorough=is_thorough):
                if path == "/live":  # it never ends
                    continue
                headers = {"authorization": f"Bearer {gate.secrets[role]}"}
                status = client.request(method, path, headers=headers).status_code
                is_refused = status in (401, 403) and path != "/sign-in"
                assert is_refused == (role < needs), (method, path, role, status)


UNKNOWN = ["/nothing", "/api/v1/nothing", "/api/2.0/mlflow/nothing", "/ajax-api/2.0/mlflow/nothing", "/api/9.0/x"]


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_what_nobody_declared_is_denied(method: str, path: str, gate: Gate) -> None:
    refused = gate.ask(method, path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.json()["error_code"] == "UNAUTHENTICATED" and refused.json()["message"]
    assert gate.ask(method, path, gate.secrets[Role.ADMIN]).status_code in (404, 405)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_mlflow_clients_show_it_as_bearer_or_as_the_password(gate: Gate) -> None:
    secret = gate.secrets[Role.READER]
    shown = [f"Bearer {secret}", f"bearer  {secret}", basic("anybody", secret), basic("", secret)]
    for header in shown:
        assert httpx.get(f"{gate.url}/api/v1/runs", headers={"authorization": header}).status_code == 200
    wrong = [basic(secret, ""), basic("x", "y"), secret, "Basic !!!", "Basic", "", "Digest x", f"Token {secret}"]
    for header in wrong:
        assert httpx.get(f"{gate.url}/api/v1/runs", headers={"authorization": header}).status_code == 401, header
    two = [("authorization", f"Bearer {secret}"), ("authorization", "Bearer x")]
    assert httpx.get(f"{gate.url}/api/v1/runs", headers=two).status_code == 401


@pytest.mark.parametrize("header", [b"", b"Bearer", b"Basic " + b"=" * 50, b"Basic /w==", b"\xff\xfe", b"Bearer \xff"])
def test_no_authorization_breaks_the_reading(header: bytes) -> None:
    assert read_authorization(header) in ("", "\xff")


def test_the_name_of_the_token_is_the_actor_whatever_the_client_calls_itself(gate: Gate) -> None:
    headers = {"authorization": f"Bearer {gate.secrets[Role.CONTRIBUTOR]}", "x-penstock-actor": "root"}
    made = httpx.post(f"{gate.url}/api/v1/runs", json={"experiment": "who"}, headers=headers)
    assert made.status_code == 200
    events = gate.services.governance.list_events(limit=1, newest_first=True)
    assert events[0].actor == "contributor"


def test_a_revoked_token_opens_nothing_within_a_second(gate: Gate) -> None:
    secret = gate.services.tokens.create_token("leaving", "reader").secret
    wait_until(lambda: gate.ask("GET", "/api/v1/runs", secret).status_code == 200)
    gate.services.tokens.revoke_token("leaving")
    wait_until(lambda: gate.ask("GET", "/api/v1/runs", secret).status_code != 200)
    assert STALE_S < 1  # what was read before that is trusted no more
    assert "revoked" in gate.ask("GET", "/api/v1/runs", secret).json()["message"]


def test_a_mistyped_token_is_told_from_a_revoked_one(gate: Gate) -> None:
    message = gate.ask("GET", "/api/v1/runs", gate.secrets[Role.READER][:-2]).json()["message"]
    assert "mistyped" in message and gate.secrets[Role.READER][13:-2] not in message


def test_a_token_comes_over_http_once_and_without_being_kept(gate: Gate) -> None:
    headers = {"authorization": f"Bearer {gate.secrets[Role.ADMIN]}", "idempotency-key": "make-it"}
    first = httpx.post(f"{gate.url}/api/v1/tokens", json={"name": "once"}, headers=headers)
    assert first.json()["secret"].startswith("pst_") and first.json()["token"]["role"] == "contributor"
    again = httpx.post(f"{gate.url}/api/v1/tokens", json={"name": "once"}, headers=headers)
    assert (again.status_code, again.json()["error_code"]) == (409, "ALREADY_EXISTS")
    with gate.services.tokens.db.snapshot() as tx:
        answers = tx.connection.exec_driver_sql("SELECT answer FROM idempotency_keys").scalars().all()
    assert not any("pst_" in answer for answer in answers)


def test_the_owner_of_the_machine_gets_in_with_the_home_folders_own_token(gate: Gate) -> None:
    headers = {"authorization": "Bearer the owner's", "x-penstock-actor": "worker"}
    assert httpx.get(f"{gate.url}/api/v1/tokens", headers=headers).status_code == 200


def test_nobody_needs_a_token_on_loopback_before_the_first_is_made(bare: Gate) -> None:
    assert bare.ask("GET", "/api/v1/tokens").status_code == 200
    assert bare.ask("GET", "/api/v1/runs", "some other server's").status_code == 200
    assert bare.ask("GET", "/api/v1/runs", "pst_" + "0" * 56).status_code == 401
    made = bare.ask("POST", "/api/v1/tokens", json={"name": "first", "role": "admin"}).json()
    time.sleep(1)
    assert bare.ask("GET", "/api/v1/tokens").status_code == 401
    bare.services.tokens.revoke_token("first")
    time.sleep(1)
    assert bare.ask("GET", "/api/v1/tokens").status_code == 401  # revoking the last one does not open the door
    assert bare.ask("GET", "/api/v1/tokens", made["secret"]).status_code == 401


def sign_in(client: httpx.Client, secret: str, after: str = "/") -> httpx.Response:
    return client.post("/sign-in", data={"token": secret, "next": after}, headers={"origin": str(client.base_url)[:-1]})


@pytest.fixture
def browser(gate: Gate) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gate.url + "/", headers=BROWSER, timeout=PATIENCE_S) as client:
        yield client


def test_a_browser_is_led_to_the_page_that_takes_a_token(gate: Gate, browser: httpx.Client) -> None:
    led = browser.get("/runs?page=2")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=/runs%3Fpage%3D2")
    asked = browser.get(led.headers["location"])
    assert asked.status_code == 200 and 'value="/runs?page=2"' in asked.text
    wrong = sign_in(browser, "pst_wrong", "/runs?page=2")
    assert 'value="/runs?page=2"' in wrong.text  # it still knows where to go
    assert wrong.status_code == 401 and "not good" in wrong.text and "pst_wrong" not in wrong.text
    right = sign_in(browser, gate.secrets[Role.READER], "/runs?page=2")
    assert (right.status_code, right.headers["location"]) == (303, "/runs?page=2")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and gate.secrets[Role.READER] not in cookie
    shown = browser.get("/runs")
    assert shown.status_code == 200 and "Sign out" in shown.text
    value = browser.cookies[COOKIE]
    left = browser.post("/sign-out", headers={"origin": gate.url})
    assert left.status_code == 303
    assert httpx.get(f"{gate.url}/api/v1/runs", cookies={COOKIE: value}).status_code == 401


def test_a_change_by_cookie_has_to_come_from_our_own_page(gate: Gate, browser: httpx.Client) -> None:
    sign_in(browser, gate.secrets[Role.CONTRIBUTOR])
    for origin in (None, "http://evil.example", "null"):
        headers = {} if origin is None else {"origin": origin}
        assert browser.post("/api/v1/runs", json={"experiment": "x"}, headers=headers).status_code == 403
    assert browser.post("/api/v1/runs", json={"experiment": "x"}, headers={"origin": gate.url}).status_code == 200
    assert browser.get("/api/v1/tokens").status_code == 403


def test_a_session_ends_with_its_token(gate: Gate, browser: httpx.Client) -> None:
    sign_in(browser, gate.services.tokens.create_token("visitor", "reader").secret)
    assert browser.get("/api/v1/runs").status_code == 200
    gate.services.tokens.revoke_token("visitor")
    time.sleep(1)
    assert browser.get("/api/v1/runs").status_code == 401


@pytest.mark.parametrize(
    "path", ["//evil.example", "http://evil.example", "/\\evil.example", "", "javascript:x", "/a\r\nb"]
)
def test_signing_in_leads_nowhere_else(path: str) -> None:
    assert local_path(path) == "/"


def test_an_address_is_answered_to_where_it_listens_everywhere_and_a_name_only_if_named(tmp_path: Path) -> None:
    with open_gate(tmp_path, host="0.0.0.0", hosts="ml.example.org, Other.example.org") as gate:
        secret = gate.secrets[Role.READER]
        for host, status in {
            "192.0.2.7:5151": 200,
            "[2001:db8::1]:80": 200,
            "ml.example.org": 200,
            "ML.example.org:443": 200,
            "other.example.org": 200,
            "evil.example": 403,
            "ml.example.org.evil.example": 403,
            "192.0.2.7.evil.example": 403,
            "": 403,
        }.items():
            headers = {"authorization": f"Bearer {secret}", "host": host}
            assert httpx.get(f"{gate.url}/api/v1/runs", headers=headers).status_code == status, host
        assert gate.ask("GET", "/api/v1/runs").status_code == 401


def test_too_many_waiting_writes_are_refused_for_now_and_reading_goes_on(gate: Gate) -> None:
    go_on = threading.Event()
    db = gate.services.tokens.db
    first = db.submit(lambda tx: go_on.wait(PATIENCE_S))
    time.sleep(0.1)  # it is at work, and all others wait
    waiting = [db.submit(lambda tx: None) for _ in range(2_100)]
    try:
        secret = gate.secrets[Role.CONTRIBUTOR]
        refused = gate.ask("POST", "/api/v1/runs", secret, json={"experiment": "x"})
        assert (refused.status_code, refused.json()["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
        assert refused.headers["retry-after"] == "1"
        assert gate.ask("GET", "/health").status_code == 200
        assert gate.ask("GET", "/api/v1/runs", secret).status_code == 200
    finally:
        go_on.set()
        for future in (first, *waiting):
            future.result()
    assert gate.ask("POST", "/api/v1/runs", secret, json={"experiment": "x"}).status_code == 200

"""Whole requests that are none: bodies, paths, methods, headers, other people's pages."""

import json
import random
from typing import Any

import pytest

from hostile.attacks import Attacker
from hostile.shapes import ALL, body_of, name_of, path_of, path_values
from hostile.values import PATHS
from hostile.world import World
from penstock.core.routes import Route
from penstock.server.bodies import LIMIT_BYTES

WRITES = [route for route in ALL if route.method != "GET"]
IN_PATHS = [route for route in ALL if route.path_parameters]
BODIES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"text"',
    "a number": b"7",
    "unfinished": b'{"a": ',
    "two": b"{}{}",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a form": b"a=1&b=2",
    "a pickle": b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94.",
    "zeros": b"\0" * 1000,
    "deep lists": b'{"a":' + b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "closed deep lists": b'{"tags":' + b"[" * 900 + b"]" * 900 + b"}",
    "a comment": b"{} // all is well",
}


@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_no_body_breaks_the_server(route: Route, world: World, attacker: Attacker) -> None:
    path = path_of(route, path_values(route, world))
    for case, body in BODIES.items():
        attacker.attack(route.method, path, body, case=case, refused=case not in ("empty",))


@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_half_a_body_is_no_body(route: Route, world: World, attacker: Attacker) -> None:
    path, whole = path_of(route, path_values(route, world)), json.dumps(body_of(route, world)).encode()
    for end in random.Random(0).sample(range(1, len(whole)), min(6, len(whole) - 1)):
        attacker.attack(route.method, path, whole[:end], refused=True)


@pytest.mark.parametrize("route", IN_PATHS, ids=name_of)
def test_no_path_leads_astray(route: Route, world: World, attacker: Attacker) -> None:
    values = path_values(route, world)
    body: Any = b"" if route.method == "GET" else body_of(route, world)
    for name in values:
        for value in PATHS:
            attacker.attack(route.method, path_of(route, values | {name: value}), body, case=name)


@pytest.mark.parametrize("route", ALL, ids=name_of)
def test_another_method_is_refused(route: Route, world: World, attacker: Attacker) -> None:
    path = path_of(route, path_values(route, world))
    taken = {other.method for other in ALL if path_of(other, path_values(other, world)) == path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - taken:
        attacker.attack(method, path, refused=True)


PAGES = ["/", "/runs", "/models", "/data", "/audit", "/deployments", "/loop", "/api", "/static/style.css", "/health"]


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/blobs/a", "/api/v1/nothing", "/nothing", *PAGES])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_another_page_cannot_use_the_server(method: str, path: str, attacker: Attacker) -> None:
    own = attacker.url.partition("//")[2]
    for headers in (
        {"host": "evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example:80"},
        {"host": "evil.example@127.0.0.1"},
        {"host": "evil.example:5151"},
        {"host": ""},
        {"host": "[::1].evil.example"},
        {"host": own, "origin": "http://evil.example"},
        {"host": own, "origin": "null"},
        {"host": own, "origin": "http://127.0.0.1:1"},
        {"host": own, "origin": f"http://{own}.evil.example"},
        {"host": own, "origin": f"http://evil.example/{own}"},
        {"host": own, "origin": f"ftp://{own}"},
        {"host": own, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ):
        reply = attacker.attack(method, path, b"", headers, refused=True, case=str(headers))
        assert reply is not None and "access-control-allow-origin" not in reply.headers


FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xml"]


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_of_another_page_is_no_request(kind: str, world: World, attacker: Attacker) -> None:
    attacker.attack("POST", "/api/v1/runs", {"experiment": "x"}, {"content-type": kind}, refused=True)


UNKNOWN = ["/nothing", "/api", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/runs", "//", "/api/v1//runs", "/%00"]
UNKNOWN += ["/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/app", "/static/..%5c..%5capp", "/static/%00", "/%ff"]
UNKNOWN += [
    "/.git/config",
    "/.penstock/penstock.db",
    "/api/v1/runs/../../../etc/passwd",
    "/" + "a/" * 3000,
    "/*",
    "/\\",
]
UNKNOWN += ["/static/" + "x" * 5000, "/static/templates"]


@pytest.mark.parametrize("path", UNKNOWN, ids=lambda path: path[:40])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
def test_what_is_not_there_is_said_to_be_not_there(method: str, path: str, attacker: Attacker) -> None:
    attacker.attack(method, path, refused=path != "/api")


HEADERS: dict[str, dict[str, str]] = {
    "a long idempotency key": {"idempotency-key": "k" * 5000},
    "an odd idempotency key": {"idempotency-key": "\xff\x01';--"},
    "an odd actor": {"x-penstock-actor": "\xff\xfe' OR 1=1 --"},
    "a long actor": {"x-penstock-actor": "a" * 10_000},
    "a wrong encoding": {"content-encoding": "gzip"},
    "an odd encoding": {"content-encoding": "x" * 1000},
    "an odd charset": {"content-type": "application/json; charset=utf-7"},
    "an upgrade": {"connection": "upgrade", "upgrade": "websocket"},
    "an odd token": {"authorization": "Bearer \xff"},
    "an override": {"x-http-method-override": "DELETE"},
    "a forward": {"x-forwarded-host": "evil.example", "x-forwarded-for": "' OR 1=1"},
    "an expectation": {"expect": "the-impossible"},
}


@pytest.mark.parametrize("case", HEADERS)
def test_no_header_breaks_the_server(case: str, attacker: Attacker) -> None:
    attacker.attack("POST", "/api/v1/runs", {"experiment": "x"}, HEADERS[case], case=case)
    attacker.attack("GET", "/api/v1/runs", b"", HEADERS[case], case=case)


def test_a_key_of_another_call_is_refused(attacker: Attacker) -> None:
    headers = {"idempotency-key": "one"}
    assert attacker.send("POST", "/api/v1/experiments", b'{"name":"keyed"}', headers).status == 200
    assert attacker.send("POST", "/api/v1/experiments", b'{"name":"other"}', headers).status == 409
    assert attacker.send("POST", "/api/v1/experiments", b'{"name":"keyed"}', headers).status == 200
    assert attacker.database is not None
    attacker.database.restore()


def test_a_body_beyond_the_limit_is_refused_and_not_kept(attacker: Attacker) -> None:
    reply = attacker.attack("POST", "/api/v1/runs", b" " * (LIMIT_BYTES + 1), refused=True)
    assert reply is not None and reply.status == 413


@pytest.mark.parametrize(
    "path", ["/runs/a%0a", "/runs/%00", "/models/%ff/1", "/data/%2e%2e", "/runs/..%2f..", "/loop/%0d"]
)
def test_no_page_breaks(path: str, attacker: Attacker) -> None:
    reply = attacker.send("GET", path, b"", {"accept": "text/html"})
    assert 400 <= reply.status < 500 and b"Traceback" not in reply.body


KEYS = [
    "..",
    "../a",
    "a/../b",
    "/etc/passwd",
    "%2e%2e%2fa",
    "a//b",
    ".hidden",
    "a/.tmp-1",
    "A",
    "a%20b",
    "%00",
    "x" * 300,
]
KEYS += ["..%5ca", "C:%5ca", "%ff", "a%0ab", "%E2%80%AE", "packs", "loose", "a/b/", "~", "*", "a:b", "con", ""]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:20] or "none")
def test_no_key_leads_out_of_the_object_store(key: str, world: World, attacker: Attacker) -> None:
    before = sorted(path for path in world.home.rglob("*") if "objects" not in path.parts)
    for method in ("PUT", "GET", "HEAD"):
        attacker.attack(method, f"/api/v1/blobs/{key}", b"bytes" if method == "PUT" else b"", case="key")
    attacker.attack("GET", f"/api/v1/blobs?prefix={key}")
    assert sorted(path for path in world.home.rglob("*") if "objects" not in path.parts) == before


RANGES = [
    "bytes=0-",
    "bytes=-1",
    "bytes=5-2",
    "bytes=a-b",
    "bytes=0-1,3-4",
    "items=0-1",
    "bytes=0-99999999999999999999",
]
RANGES += ["bytes=9999999999999999999-9999999999999999999", "bytes=\xb2-\xb3", "", "bytes=0-9223372036854775807"]
RANGES += ["bytes=" + "0" * 5000 + "-1", "bytes=0-" + "9" * 5000, "bytes=100-200"]


@pytest.mark.parametrize("text", RANGES, ids=lambda text: text[:30] or "none")
def test_no_range_breaks_the_server(text: str, world: World, attacker: Attacker) -> None:
    key = next(key for key in world.services.objects.blobs.list_keys("") if not key.startswith("leases/"))
    attacker.attack("GET", f"/api/v1/blobs/{key}", b"", {"range": text}, case=text[:40])

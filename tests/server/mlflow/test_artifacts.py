"""MLflow's artifact operations: what clients rely on, and what a browser must never be made to do."""

import os
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from patience import PATIENCE_S
from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.server.app import build_server
from server.mlflow.artifact_server import ROOT
from serving_http import serve

TOKEN = "secret-token"
MPU = "/api/2.0/mlflow-artifacts/mpu"
NO_MODEL = "m-" + "5" * 32


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    opened = open_app(Config(home=tmp_path_factory.mktemp("artifacts") / "home"), actor=Actor("test", Role.ADMIN))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def http(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    config = Config(home=tmp_path_factory.getbasetemp() / "unused")
    app = build_server(services, config=config, owner=Actor("owner", Role.ADMIN), project=None)
    with serve(app) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture
def run_id(services: Services) -> str:
    return services.tracking.create_run("Default").id


@pytest.fixture
def root(run_id: str) -> str:
    """The root of the run, as a path of the proxy."""
    return f"0/{run_id}/artifacts"


def files(http: httpx.Client, path: str) -> dict[str, Any]:
    """A listing as it is answered."""
    answer = http.get(ROOT, params={"path": path})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_what_is_put_is_listed_and_comes_back(http: httpx.Client, root: str) -> None:
    put = http.put(f"{ROOT}/{root}/a.txt", content=b"hello")
    assert (put.status_code, put.content, len(put.headers["x-penstock-digest"])) == (200, b"{}", 64)
    http.put(f"{ROOT}/{root}/dir/b.txt", content=b"1")
    assert files(http, root) == {
        "files": [{"path": "a.txt", "is_dir": False, "file_size": 5}, {"path": "dir", "is_dir": True}]
    }
    assert files(http, f"{root}/dir") == {"files": [{"path": "b.txt", "is_dir": False, "file_size": 1}]}
    for nothing in (f"{root}/none", f"{root}/a.txt", "no/such/folder"):
        assert files(http, nothing) == {}
    got = http.get(f"{ROOT}/{root}/a.txt")
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, b"hello", "text/plain")
    assert got.headers["content-disposition"] == "attachment; filename=a.txt"
    assert http.get(f"/ajax-api{ROOT.removeprefix('/api')}/{root}/a.txt").content == b"hello"


@pytest.mark.parametrize(("path", "names"), [(".", ["dir"]), ("./", ["dir"]), ("./dir", ["f"]), ("dir/.", ["f"])])
def test_a_folder_is_the_same_with_a_dot_in_its_path(
    http: httpx.Client, run_id: str, root: str, path: str, names: list[str]
) -> None:
    http.put(f"{ROOT}/{root}/dir/f", content=b"x")
    assert [each["path"] for each in files(http, f"{root}/{path}")["files"]] == names
    of_run = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run_id, "path": path}).json()["files"]
    assert [each["path"].rpartition("/")[2] for each in of_run] == names


def test_a_dot_names_no_file_and_nothing_to_delete(http: httpx.Client, root: str) -> None:
    http.put(f"{ROOT}/{root}/dir/f", content=b"x")
    assert http.put(f"{ROOT}/{root}/dir/%2e", content=b"y").status_code == 400
    assert http.delete(f"{ROOT}/{root}/dir/%2e").status_code == 400
    assert [each["path"] for each in files(http, f"{root}/dir")["files"]] == ["f"]


def test_a_missing_file_is_said_by_the_name_that_clients_know(http: httpx.Client, root: str, run_id: str) -> None:
    asked = [
        (f"{ROOT}/{root}/none", {}),
        ("/get-artifact", {"run_id": run_id, "path": "none"}),
        ("/get-artifact", {"run_id": "nobody", "path": "a"}),
        ("/model-versions/get-artifact", {"name": "none", "version": "1", "path": "a"}),
        (f"/ajax-api/2.0/mlflow/logged-models/{NO_MODEL}/artifacts/files", {"artifact_file_path": "none"}),
    ]
    for path, query in asked:
        answer = http.get(path, params=query)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), path


@pytest.mark.parametrize("name", ["evil.html", "evil.svg", "evil.js", "evil.xml", "evil", 'e"v\\il.html', "é.html"])
def test_no_file_ever_runs_in_the_origin_of_the_api(http: httpx.Client, root: str, run_id: str, name: str) -> None:
    if "\\" in name:
        assert http.put(f"{ROOT}/{root}/{name}", content=b"x").status_code == 400
        return
    http.put(f"{ROOT}/{root}/{name}", content=b"<script>alert(1)</script>")
    for answer in (
        http.get(f"{ROOT}/{root}/{name}"),
        http.get("/get-artifact", params={"run_id": run_id, "path": name}),
        http.head(f"{ROOT}/{root}/{name}"),
    ):
        headers = answer.headers
        assert answer.status_code == 200
        assert headers["content-disposition"].startswith("attachment; filename=")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("sandbox;")
        assert headers["x-frame-options"] == "DENY"


def send_unmended(http: httpx.Client, method: str, path: str) -> tuple[int, bytes]:
    """Send a path byte by byte as it stands; other clients would resolve its dots themselves."""
    connection = HTTPConnection(http.base_url.host, http.base_url.port, timeout=PATIENCE_S)
    connection.request(method, path, body=b"x" if method == "PUT" else None)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


HOSTILE = [
    "../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "a/../../b",
    "a/..",
    "a//b",
    "./a",
    "a/.",
    "%5c..%5cwindows",
    "C:%5cwindows",
    "c:/windows",
    "a%00b",
    "a%0ab",
    "%ff%fe",
    "%ed%a0%80",
    "x" * 256,
    "d/" * 150 + "x",
    "y/" * 600,
    "a/",
    "",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_elsewhere_is_refused_by_every_operation(
    http: httpx.Client, root: str, path: str, run_id: str
) -> None:
    http.put(f"{ROOT}/{root}/kept.txt", content=b"kept")
    for method in ("PUT", "GET", "DELETE"):
        for place in (f"{ROOT}/{root}/", f"{ROOT}/"):
            if method == "DELETE" and path in ("", "a/"):
                continue
            status, body = send_unmended(http, method, place + path)
            assert status in (400, 404, 422), (method, place, body)
            assert b'"error_code"' in body
    assert files(http, root)["files"] == [{"path": "kept.txt", "is_dir": False, "file_size": 4}]


def test_percent_signs_are_decoded_exactly_once(http: httpx.Client, root: str) -> None:
    http.put(f"{ROOT}/{root}/dog%25step%2520%23%3F.png", content=b"image")
    assert files(http, root)["files"][0]["path"] == "dog%step%20#?.png"
    http.put(f"{ROOT}/{root}/%2541", content=b"a name like any other")
    assert [file["path"] for file in files(http, root)["files"]] == ["%41", "dog%step%20#?.png"]
    assert http.get(f"{ROOT}/{root}/%2541").status_code == 200
    assert http.get(f"{ROOT}/{root}/A").status_code == 404


def test_a_name_that_would_lead_elsewhere_if_decoded_again_is_refused(http: httpx.Client, root: str) -> None:
    for name in ("%252e%252e", "%252e%252e%252fx", "%25252e%25252e"):
        assert http.put(f"{ROOT}/{root}/{name}", content=b"x").json()["message"] == "Invalid path"
    assert files(http, root) == {}


def test_a_deletion_never_reaches_above_its_run(http: httpx.Client, services: Services) -> None:
    runs = [services.tracking.create_run("Default").id for _ in range(2)]
    for run in runs:
        for name in ("a", "b/c", "b/d"):
            http.put(f"{ROOT}/0/{run}/artifacts/{name}", content=b"x")
    first, second = (f"0/{run}/artifacts" for run in runs)
    assert http.delete(f"{ROOT}/{first}/b/").status_code == 200
    assert [file["path"] for file in files(http, first)["files"]] == ["a"]
    for above in (f"0/{runs[0]}", "0", "0/", f"0/{runs[0]}/"):
        assert http.delete(f"{ROOT}/{above}").json()["error_code"] == "INVALID_PARAMETER_VALUE"
    for refused in ("", "/", "..", f"{first}/.."):
        assert send_unmended(http, "DELETE", f"{ROOT}/{refused}")[0] in (400, 404)
    assert [file["path"] for file in files(http, first)["files"]] == ["a"]
    assert http.delete(f"{ROOT}/{first}/none").status_code == 200
    assert http.delete(f"{ROOT}/{first}/").status_code == 200
    assert (files(http, first), len(files(http, second)["files"])) == ({}, 2)


def test_old_clients_list_a_run_by_its_id(http: httpx.Client, root: str, run_id: str) -> None:
    http.put(f"{ROOT}/{root}/a.txt", content=b"0")
    http.put(f"{ROOT}/{root}/dir/b.txt", content=b"1")
    listed = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run_id}).json()
    assert listed == {
        "root_uri": f"mlflow-artifacts:/{root}",
        "files": [{"path": "a.txt", "is_dir": False, "file_size": 1}, {"path": "dir", "is_dir": True}],
    }
    below = http.get("/ajax-api/2.0/mlflow/artifacts/list", params={"run_uuid": run_id, "path": "dir"}).json()
    assert below["files"] == [{"path": "dir/b.txt", "is_dir": False, "file_size": 1}]
    assert http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": "nobody"}).status_code == 404
    unnamed = http.get("/api/2.0/mlflow/artifacts/list").json()
    assert unnamed["message"].startswith("Missing value for required parameter 'run_id'")
    assert http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run_id, "path": ".."}).status_code == 400


def test_a_logged_model_has_its_files_below_its_own_root(http: httpx.Client, services: Services) -> None:
    model = services.logged_models.create_logged_model(services.experiments.get_experiment("Default").id, "tree")
    root = model.artifact_uri.removeprefix("mlflow-artifacts:/")
    http.put(f"{ROOT}/{root}/MLmodel", content=b"flavors: {}")
    assert files(http, root) == {"files": [{"path": "MLmodel", "is_dir": False, "file_size": 11}]}
    asked = f"/ajax-api/2.0/mlflow/logged-models/{model.id}/artifacts/files"
    assert http.get(asked, params={"artifact_file_path": "MLmodel"}).content == b"flavors: {}"
    assert http.get(asked).json()["error_code"] == "INVALID_PARAMETER_VALUE"
    http.delete(f"{ROOT}/{root}")


def test_a_small_file_comes_from_a_page(http: httpx.Client, run_id: str, root: str) -> None:
    path = "/ajax-api/2.0/mlflow/upload-artifact"
    named = {"run_uuid": run_id, "path": "notes/True"}
    assert http.post(path, params=named, content=b"text").status_code == 200
    assert http.get("/get-artifact", params={"run_uuid": run_id, "path": "notes/True"}).content == b"text"
    for params, body, message in (
        ({"path": "a"}, b"x", "Request must specify run_uuid."),
        ({"run_uuid": run_id}, b"x", "Request must specify path."),
        (named, b"", "Request must specify data."),
        (named, b"x" * (10 * 1024 * 1024 + 1), "Artifact size is too large. Max size is 10MB."),
    ):
        answer = http.post(path, params=params, content=body)
        assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_what_is_not_offered_is_said_so_that_clients_go_on(http: httpx.Client, root: str) -> None:
    presigned = f"/api/2.0/mlflow-artifacts/presigned/{root}/a"
    for method, path in (("GET", presigned), ("POST", f"{ROOT}/{root}/a"), ("GET", "/api/2.0/mlflow-artifacts/other")):
        unknown = http.request(method, path)
        assert (unknown.status_code, unknown.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_a_file_comes_in_parts_in_any_order(http: httpx.Client, root: str) -> None:
    parts = [os.urandom(1 << 20), os.urandom(3 << 20), b"tail"]
    begun = http.post(f"{MPU}/create/{root}/deep", json={"path": "C:\\tmp\\big.bin", "num_parts": 3}).json()
    etags = {}
    for each in reversed(begun["credentials"]):
        assert each["url"].startswith(str(http.base_url)) and each["headers"] == {}
        httpx.put(each["url"], content=b"something else")
        etags[each["part_number"]] = httpx.put(each["url"], content=parts[each["part_number"] - 1]).headers["etag"]
    named = [{"part_number": number, "etag": etag, "url": "x"} for number, etag in etags.items()]
    done = {"path": "/data/big.bin", "upload_id": begun["upload_id"], "parts": named}
    for wrong in ([], named[:2], [*named[:2], {"part_number": 1, "etag": '"0"'}], [*named, named[0]]):
        answer = http.post(f"{MPU}/complete/{root}/deep", json=done | {"parts": wrong})
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert http.post(f"{MPU}/complete/{root}/other", json=done).status_code == 404
    assert files(http, root) == {}
    assert http.post(f"{MPU}/complete/{root}/deep", json=done).status_code == 200
    assert http.get(f"{ROOT}/{root}/deep/big.bin").content == b"".join(parts)
    whole = http.put(f"{ROOT}/{root}/same.bin", content=b"".join(parts))
    assert whole.headers["etag"] == http.head(f"{ROOT}/{root}/deep/big.bin").headers["etag"]
    assert http.post(f"{MPU}/complete/{root}/deep", json=done).status_code == 404
    assert httpx.put(begun["credentials"][0]["url"], content=b"late").status_code == 404


def test_an_upload_that_is_given_up_is_gone(http: httpx.Client, root: str) -> None:
    begun = http.post(f"{MPU}/create/{root}", json={"path": "big.bin", "num_parts": 2}).json()
    httpx.put(begun["credentials"][0]["url"], content=b"x")
    for number in ("0", "3", "x", "1" * 40):
        beyond = http.put(f"{MPU}/parts/{begun['upload_id']}/{number}", content=b"x")
        assert (beyond.status_code, beyond.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    given_up = {"path": "big.bin", "upload_id": begun["upload_id"]}
    assert http.post(f"{MPU}/abort/{root}", json=given_up).status_code == 200
    assert http.post(f"{MPU}/abort/{root}", json=given_up).status_code == 404
    assert files(http, root) == {}
    for bad in ({"path": "", "num_parts": 1}, {"path": "a", "num_parts": 0}, {"path": "..", "num_parts": 1}, {}):
        assert http.post(f"{MPU}/create/{root}", json=bad).status_code == 400


def test_parts_are_sent_with_the_token_of_the_client(services: Services, tmp_path: Path) -> None:
    config = Config(home=tmp_path, token=TOKEN)
    app = build_server(services, config=config, owner=Actor("owner", Role.ADMIN), project=None)
    with serve(app) as url, httpx.Client(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        begun = client.post(f"{MPU}/create/free", json={"path": "big.bin", "num_parts": 1}).json()
        (where,) = begun["credentials"]
        assert httpx.put(where["url"], content=b"x").status_code == 401
        assert httpx.put(where["url"], content=b"x", headers=where["headers"]).status_code == 200
        assert httpx.put(f"{url}{ROOT}/free/x", content=b"x").status_code == 401


def test_a_compressed_body_is_refused(http: httpx.Client, root: str) -> None:
    answer = http.put(f"{ROOT}/{root}/a", content=b"x", headers={"content-encoding": "gzip"})
    assert answer.status_code == 400
    assert files(http, root) == {}


def test_a_deleted_run_takes_no_more_files(http: httpx.Client, services: Services, run_id: str, root: str) -> None:
    services.tracking.end_run(run_id)  # type: ignore[arg-type]
    assert http.put(f"{ROOT}/{root}/late", content=b"x").status_code == 200
    services.tracking.delete_run(run_id)  # type: ignore[arg-type]
    answer = http.put(f"{ROOT}/{root}/later", content=b"x")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert http.get(f"{ROOT}/{root}/late").content == b"x"

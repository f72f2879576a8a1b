"""Artifacts in the bare protocol: bytes by PUT and GET, lists, and what browsers are told of them."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from rest import Api

ROOT = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def place(experiment: str, run: str) -> str:
    """Where the artifacts of `run` lie."""
    return f"{experiment}/{run}/artifacts"


def put(api: Api, path: str, data: bytes) -> None:
    answer = api.send("PUT", f"{ROOT}/{path}", data=data)
    assert answer.status_code == 200, answer.text
    assert answer.text in ("", "{}")


def files(api: Api, path: str) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = api.get(ROOT, path=path).get("files", [])
    return sorted(held, key=lambda file: str(file["path"]))


def test_what_is_put_is_what_is_got(api: Api, place: str) -> None:
    for data in (b"0", b"", bytes(range(256)) * 1000):
        put(api, f"{place}/dir/b.bin", data)
        assert api.send("GET", f"{ROOT}/{place}/dir/b.bin").content == data


def test_a_body_may_come_in_chunks_of_unknown_number(api: Api, place: str) -> None:
    def pieces() -> Iterator[bytes]:
        for i in range(64):
            yield bytes([i]) * 65536

    answer = api.send("PUT", f"{ROOT}/{place}/stream.bin", data=pieces())
    assert answer.status_code == 200
    got = api.send("GET", f"{ROOT}/{place}/stream.bin").content
    assert hashlib.sha256(got).digest() == hashlib.sha256(b"".join(pieces())).digest()
    assert files(api, place) == [{"path": "stream.bin", "is_dir": False, "file_size": 64 * 65536}]


def test_an_empty_body_in_chunks_is_an_empty_file(api: Api, place: str) -> None:
    answer = api.send("PUT", f"{ROOT}/{place}/empty", data=iter(()))
    assert answer.status_code == 200
    assert api.send("GET", f"{ROOT}/{place}/empty").content == b""


def test_a_list_names_files_and_folders_by_their_last_name(api: Api, place: str) -> None:
    put(api, f"{place}/a.txt", b"0")
    put(api, f"{place}/dir/b.txt", b"12")
    put(api, f"{place}/dir/deep/c.txt", b"123")
    assert files(api, place) == [
        {"path": "a.txt", "is_dir": False, "file_size": 1},
        {"path": "dir", "is_dir": True},
    ]
    assert files(api, f"{place}/dir") == [
        {"path": "b.txt", "is_dir": False, "file_size": 2},
        {"path": "deep", "is_dir": True},
    ]


def test_what_is_not_there_is_an_empty_list(api: Api, place: str) -> None:
    assert api.get(ROOT, path=place) == {}
    assert api.get(ROOT, path=f"{place}/nothing") == {}


def test_a_file_that_is_not_there_is_not_found(api: Api, place: str) -> None:
    answer = api._session.get(f"{api.url}{ROOT}/{place}/nothing.txt", timeout=300)
    assert answer.status_code in (404, 500)  # MLflow's own server fails


def test_the_run_lists_its_artifacts_by_their_whole_path(api: Api, run: str, place: str) -> None:
    put(api, f"{place}/a.txt", b"0")
    put(api, f"{place}/dir/b.txt", b"12")
    told = api.get("artifacts/list", run_id=run)
    assert told["root_uri"] == f"mlflow-artifacts:/{place}"
    assert told["files"] == [
        {"path": "a.txt", "is_dir": False, "file_size": 1},
        {"path": "dir", "is_dir": True},
    ]
    told = api.get("artifacts/list", run_uuid=run, path="dir")
    assert told["files"] == [{"path": "dir/b.txt", "is_dir": False, "file_size": 2}]
    assert api.get("/ajax-api/2.0/mlflow/artifacts/list", run_id=run)["root_uri"] == told["root_uri"]


def test_a_run_without_artifacts_tells_only_where_they_would_be(api: Api, run: str, place: str) -> None:
    assert api.get("artifacts/list", run_id=run) == {"root_uri": f"mlflow-artifacts:/{place}"}


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        ("a.txt", "text/plain"),
        ("b.pkl", "application/octet-stream"),
        ("c.png", "image/png"),
        ("d.pdf", "application/pdf"),
        ("MLmodel", "text/plain"),
        ("mlproject", "text/plain"),
    ],
)
def test_a_download_is_an_attachment_of_its_kind(api: Api, run: str, place: str, filename: str, kind: str) -> None:
    put(api, f"{place}/dir/{filename}", b"x")
    for answer in (
        api.send("GET", f"{ROOT}/{place}/dir/{filename}"),
        api.send("GET", f"{ROOT}/{place}/dir/{filename}", headers={"Accept": "text/html"}),
        api.send("GET", "/get-artifact", params={"run_id": run, "path": f"dir/{filename}"}),
        api.send("GET", "/get-artifact", params={"run_uuid": run, "path": f"dir/{filename}"}),
    ):
        assert answer.status_code == 200 and answer.content == b"x"
        assert answer.headers["Content-Type"].partition(";")[0] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"] == f"attachment; filename={filename}"


def test_names_of_images_with_steps_are_told_as_they_are(api: Api, run: str, place: str) -> None:
    name = "dog%step%100%timestamp%100%xyz.png"
    put(api, f"{place}/images/{name.replace('%', '%25')}", b"x")
    assert api.get("artifacts/list", run_id=run, path="images")["files"] == [
        {"path": f"images/{name}", "is_dir": False, "file_size": 1}
    ]
    answer = api.send("GET", "/get-artifact", params={"run_id": run, "path": f"images/{name}"})
    assert answer.content == b"x"
    assert f"attachment; filename={name}" in answer.headers["Content-Disposition"]


def test_names_may_hold_any_letters(api: Api, run: str, place: str) -> None:
    name = "größe 模型 (1)&+=.txt"
    put(api, f"{place}/{name}", b"x")
    assert files(api, place) == [{"path": name, "is_dir": False, "file_size": 1}]
    assert api.send("GET", f"{ROOT}/{place}/{name}").content == b"x"
    assert api.send("GET", "/get-artifact", params={"run_id": run, "path": name}).content == b"x"


def test_a_file_and_a_folder_are_deleted(api: Api, place: str) -> None:
    for path in ("a.txt", "dir/b.txt", "dir/deep/c.txt", "kept.txt"):
        put(api, f"{place}/{path}", b"x")
    assert api.delete(f"{ROOT}/{place}/a.txt") == {}
    assert api.delete(f"{ROOT}/{place}/dir") == {}
    assert files(api, place) == [{"path": "kept.txt", "is_dir": False, "file_size": 1}]


@pytest.mark.parametrize("path", ["../path", "..", "/etc/passwd", "a/../../b", "%2e%2e/x", "..%2fx", "C:\\x"])
def test_paths_that_lead_elsewhere_are_refused(api: Api, run: str, path: str) -> None:
    for where, query in (
        ("/api/2.0/mlflow/artifacts/list", {"run_id": run, "path": path}),
        ("/get-artifact", {"run_id": run, "path": path}),
        ("/model-versions/get-artifact", {"name": "model", "version": 1, "path": path}),
        ("//model-versions/get-artifact", {"name": "model", "version": 1, "path": path}),
        (ROOT, {"path": path}),
    ):
        told = api.refused("GET", where, "INVALID_PARAMETER_VALUE", 400, params=query)
        assert told == "Invalid path"
    url = "/ajax-api/2.0/mlflow/upload-artifact"
    query = {"run_uuid": run, "path": path}
    api.refused("POST", url, "INVALID_PARAMETER_VALUE", 400, "Invalid path", params=query, data=b"x")


def test_a_page_uploads_an_artifact(api: Api, run: str) -> None:
    url = "/ajax-api/2.0/mlflow/upload-artifact"
    answer = api.send("POST", url, params={"run_uuid": run, "path": "dir/test.txt"}, data="hello world")
    assert answer.status_code == 200
    answer = api.send("GET", "/get-artifact", params={"run_uuid": run, "path": "dir/test.txt"})
    assert answer.text == "hello world"


def test_an_upload_of_a_page_says_what_and_where(api: Api, run: str) -> None:
    url = "/ajax-api/2.0/mlflow/upload-artifact"
    for query, words in (
        ({}, "Request must specify run_uuid."),
        ({"run_uuid": run}, "Request must specify path."),
        ({"run_uuid": run, "path": ""}, "Request must specify path."),
        ({"run_uuid": run, "path": "test.txt"}, "Request must specify data."),
    ):
        api.refused("POST", url, "INVALID_PARAMETER_VALUE", 400, words, params=query)


def test_artifacts_of_a_run_that_is_not_there(api: Api) -> None:
    query = {"run_id": "0" * 32, "path": "a.txt"}
    api.refused("GET", "artifacts/list", "RESOURCE_DOES_NOT_EXIST", 404, params=query)
    api.refused("GET", "/get-artifact", "RESOURCE_DOES_NOT_EXIST", 404, params=query)


def test_the_artifacts_of_a_version_are_read(api: Api, run: str, place: str, name: str) -> None:
    put(api, f"{place}/model/MLmodel", b"flavors: {}")
    api.post("registered-models/create", name=name)
    api.post("model-versions/create", name=name, source=f"mlflow-artifacts:/{place}/model", run_id=run)
    query = {"name": name, "version": "1", "path": "MLmodel"}
    answer = api.send("GET", "/model-versions/get-artifact", params=query)
    assert answer.status_code == 200 and answer.content == b"flavors: {}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_server_says_what_it_offers(api: Api) -> None:
    told = api.get("/api/3.0/mlflow/server-info")
    assert told["store_type"] == "SqlStore" and told["workspaces_enabled"] is False
    assert api.send("GET", "/health").text == "OK"
    assert api.send("GET", "/version").text.startswith("3.")

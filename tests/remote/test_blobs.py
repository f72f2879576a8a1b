"""An object store whose blobs lie at the other end of an HTTP connection."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.identity import Actor, Role
from penstock.remote.remote import open_remote
from penstock.server.app import build_server
from penstock.storage.objects.object_store import ObjectStore
from serving_http import serve


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Services, str]]:
    """The services of a home, and the URL where they are served."""
    config = Config(home=tmp_path / "home")
    services = open_app(config)
    with serve(build_server(services, config=config, owner=Actor("owner", Role.ADMIN), project=None)) as url:
        yield services, url
    services.close()


@pytest.fixture
def local(home: tuple[Services, str]) -> ObjectStore:
    return home[0].objects


@pytest.fixture
def remote(home: tuple[Services, str]) -> Iterator[ObjectStore]:
    services = open_remote(home[1])
    yield services.objects
    services.close()


def test_bytes_go_there_and_come_back(local: ObjectStore, remote: ObjectStore) -> None:
    for data in (b"", b"x", b"\0" * 1_000, os.urandom(3_000_000)):
        digest = remote.put_bytes(data)
        assert remote.get_bytes(digest) == data
        assert local.get_bytes(digest) == data
        assert remote.put_bytes(data) == digest


def test_what_was_kept_there_can_be_read_here(local: ObjectStore, remote: ObjectStore) -> None:
    digest = local.put_bytes(b"from there")
    assert remote.has(digest)
    assert remote.get_bytes(digest) == b"from there"


def test_a_part_is_read_without_the_rest(local: ObjectStore, remote: ObjectStore) -> None:
    data = os.urandom(2_500_000)
    digest = local.put_bytes(data)
    for offset, length in ((0, 1), (0, 0), (1_200_000, 500_000), (2_499_999, 1)):
        assert remote.read_range(digest, offset, length) == data[offset : offset + length]
    with remote.open(digest) as file:
        file.seek(1_000_000)
        assert file.read(10) == data[1_000_000:1_000_010]


def test_a_folder_goes_there_and_comes_back(local: ObjectStore, remote: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "deep" / "weights ü.bin").write_bytes(os.urandom(100_000))
    tree = remote.put_tree(folder)
    assert local.put_tree(folder) == tree
    remote.checkout(tree, tmp_path / "copy")
    assert (tmp_path / "copy" / "MLmodel").read_text() == "flavors: {}"
    kept = (tmp_path / "copy" / "deep" / "weights ü.bin").read_bytes()
    assert kept == (folder / "deep" / "weights ü.bin").read_bytes()


def test_what_is_not_there_is_said_so(remote: ObjectStore) -> None:
    missing = remote.put_bytes(b"here")[:-4] + "0000"
    assert not remote.has(missing)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        remote.get_bytes(missing)  # type: ignore[arg-type]


def test_a_remote_store_is_verified_as_a_local_one_is(local: ObjectStore, remote: ObjectStore) -> None:
    digest = remote.put_bytes(b"whole")
    assert remote.verify([digest]).passed


@pytest.mark.parametrize(
    "key",
    [
        "../../penstock.db",
        "..%2f..%2fpenstock.db",
        "/etc/passwd",
        "loose/../../penstock.db",
        "%00",
        "a" * 5_000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_no_key_leads_out_of_the_store(method: str, key: str, home: tuple[Services, str], tmp_path: Path) -> None:
    before = sorted(path.name for path in (tmp_path / "home").iterdir())
    answer = httpx.request(method, f"{home[1]}/api/v1/blobs/{key}", content=b"evil" if method == "PUT" else None)
    assert answer.status_code in (403, 404, 405, 422)
    assert b"SQLite" not in answer.content
    assert str(tmp_path) not in answer.text
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == before


def test_a_blob_that_is_not_there_is_named_without_the_folder_of_the_server(
    home: tuple[Services, str], tmp_path: Path
) -> None:
    answer = httpx.get(f"{home[1]}/api/v1/blobs/loose/none")
    assert (answer.status_code, answer.json()["message"]) == (404, "there is no loose/none")


@pytest.mark.parametrize("prefix", ["../", "..", "/", "/etc", "loose/../..", "\0"])
def test_no_prefix_leads_out_of_the_store(prefix: str, home: tuple[Services, str]) -> None:
    answer = httpx.get(f"{home[1]}/api/v1/blobs", params={"prefix": prefix})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "INVALID_INPUT")


@pytest.mark.parametrize("wanted", ["bytes=5-1", "bytes=a-b", "bytes=-5", "lines=1-2"])
def test_a_range_that_makes_no_sense_is_refused(wanted: str, home: tuple[Services, str], local: ObjectStore) -> None:
    local.put_bytes(b"some bytes")
    key = next(iter(local.blobs.list_keys("loose/")))
    answer = httpx.get(f"{home[1]}/api/v1/blobs/{key}", headers={"range": wanted})
    assert answer.status_code == InvalidInputError.http_status
    assert answer.json()["error_code"] == "INVALID_INPUT"


def test_a_blob_is_never_replaced_and_has_to_be_what_its_key_says(
    home: tuple[Services, str], local: ObjectStore
) -> None:
    digest = local.put_bytes(b"the first")
    key = next(iter(local.blobs.list_keys("loose/")))
    again = httpx.put(f"{home[1]}/api/v1/blobs/{key}", content=local.blobs.get(key))
    assert (again.status_code, again.json()) == (200, False)
    other = httpx.put(f"{home[1]}/api/v1/blobs/{key}", content=b"the second")
    assert (other.status_code, other.json()["field"]) == (422, "key")
    assert local.get_bytes(digest) == b"the first"

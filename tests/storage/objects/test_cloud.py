"""A bucket as a blob store: what goes wrong there is told in this project's words, and no secret with it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.errors import (
    InvalidInputError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    StorageFullError,
    UnavailableError,
)
from penstock.storage.objects import cloud
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.cloud import CloudBlobStore
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.open import open_blobs, open_object_store
from s3_server import SECRET, Request, S3Server


@pytest.fixture
def blobs(s3: S3Server) -> BlobStore:
    return open_blobs(f"{s3.new_bucket()}/team/objects")


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "_RETRIES", {"max_retries": 1})


def test_the_url_says_which_back_end(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    for url in ("s3://some-bucket/x", "gs://some-bucket", "az://container/y/z/"):
        opened = open_blobs(url)
        assert isinstance(opened, CloudBlobStore) and opened.shown == url.rstrip("/")
    assert isinstance(open_blobs(tmp_path), LocalBlobStore)
    assert isinstance(open_blobs(f"file://{tmp_path}"), LocalBlobStore)


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "s3://", "s3:///x", f"s3://key:{SECRET}@bucket/x", f"s3://b/x?token={SECRET}"]
)
def test_a_url_that_names_no_store_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InvalidInputError, match="names no") as told:
        open_object_store(url)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", PermissionDeniedError),
        (403, "InvalidAccessKeyId", PermissionDeniedError),
        (401, "Unauthorized", PermissionDeniedError),
        (403, "QuotaExceeded", StorageFullError),
        (507, "XMinioStorageFull", StorageFullError),
        (503, "SlowDown", UnavailableError),
        (500, "InternalError", UnavailableError),
        (400, "Strange", UnavailableError),
        (404, "NoSuchBucket", InvalidInputError),
    ],
)
def test_a_refusal_of_the_store_is_told_in_our_words(
    s3: S3Server, blobs: BlobStore, status: int, code: str, expected: type[PenstockError]
) -> None:
    asks: list[Callable[[], object]] = [
        lambda: blobs.put_if_absent("a", b"x"),
        lambda: blobs.get("a"),
        lambda: blobs.get_range("a", 0, 1),
        lambda: list(blobs.list_keys("")),
    ]
    with s3.answering(lambda request: (status, code)):
        for ask in asks:
            with pytest.raises(expected) as told:
                ask()
            assert type(told.value) is expected
            text = str(told.value)
            assert "/team/objects" in text and "http://" not in text and SECRET not in text
            assert isinstance(told.value, InvalidInputError | StorageFullError) or (
                code in text and str(status) in text
            )


def test_a_bucket_that_is_not_there_is_told_apart_from_a_blob_that_is_not(s3: S3Server) -> None:
    nowhere = open_blobs("s3://no-such-bucket/x")
    with pytest.raises(InvalidInputError, match="there is no bucket for s3://no-such-bucket/x"):
        nowhere.put_if_absent("a", b"x")
    with pytest.raises(InvalidInputError, match="there is no bucket"):
        list(nowhere.list_keys(""))
    with pytest.raises(NotFoundError, match="there is no a in s3://"):
        open_blobs(s3.new_bucket()).get("a")


def test_a_request_that_failed_for_a_moment_is_repeated(s3: S3Server, blobs: BlobStore) -> None:
    failed: list[str] = []

    def fail_once(request: Request) -> tuple[int, str] | None:
        if request.method in failed:
            return None
        failed.append(request.method)
        return 503, "SlowDown"

    with s3.answering(fail_once):
        assert blobs.put_if_absent("a", b"x")
        assert blobs.get("a") == b"x"
        assert blobs.size("a") == 1
    assert failed == ["PUT", "GET", "HEAD"]


def test_a_store_that_nobody_answers_for_is_unavailable(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="cannot be reached just now") as told:
        open_blobs("s3://bucket/x").get("a")
    assert told.value.retry_after_s > 0 and "127.0.0.1" not in str(told.value)


def test_a_machine_without_certificates_is_told_what_it_lacks(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with pytest.raises(UnavailableError, match="SSL_CERT_FILE names"):
        open_blobs("s3://bucket/x").get("a")


def test_a_store_without_create_if_absent_is_asked_first(s3: S3Server, blobs: BlobStore) -> None:
    with s3.answering(lambda request: (501, "NotImplemented") if request.creates else None), s3.counting() as counted:
        assert blobs.put_if_absent("a", b"first")
        assert not blobs.put_if_absent("a", b"second")
        assert blobs.put_if_absent("b", b"x")
    assert blobs.get("a") == b"first"
    assert [each.method for each in counted if not each.creates] == ["HEAD", "PUT", "HEAD", "HEAD", "PUT"]


def test_a_large_blob_goes_in_parts(s3: S3Server, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "LARGEST_SINGLE_PUT", 4 << 20)
    monkeypatch.setattr(cloud, "_PART_SIZE", 5 << 20)
    data = os.urandom(11 << 20)
    start = len(s3.requests)
    assert blobs.put_if_absent("packs/a.pack", data)
    assert not blobs.put_if_absent("packs/a.pack", b"y" * (5 << 20))
    parts = [each for each in s3.requests[start:] if "partNumber" in each.query]
    assert len(parts) == 3
    assert blobs.get("packs/a.pack") == data
    writer = blobs.open_writer()
    writer.append(data)
    writer.seal()
    assert writer.publish("packs/b.pack") and blobs.get("packs/b.pack") == data
    writer.discard()


def test_a_blob_costs_one_request(s3: S3Server, blobs: BlobStore) -> None:
    with s3.counting() as counted:
        blobs.put_if_absent("packs/a.pack", bytes(20 << 20))
        blobs.put_if_absent("packs/a.pack", b"")
        blobs.get_range("packs/a.pack", 5, 5)
    assert [each.method for each in counted] == ["PUT", "PUT", "GET"]

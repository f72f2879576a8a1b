"""The object store over HTTP: create once, read all or a part, list by prefix, replace never."""

import httpx
import pytest

from penstock.storage.objects.format import digest_of
from penstock.storage.objects.keys import loose_key
from server.seeding import Shop


@pytest.fixture
def blobs(shop_url: str) -> str:
    return f"{shop_url}/api/v1/blobs"


def put(blobs: str, content: bytes) -> str:
    """Create a blob under the key of its content."""
    key = loose_key(digest_of(content))
    assert httpx.put(f"{blobs}/{key}", content=content).json() is True
    return key


def test_a_blob_is_created_once_and_never_replaced(blobs: str) -> None:
    key = put(blobs, b"first")
    assert httpx.put(f"{blobs}/{key}", content=b"first").json() is False
    assert httpx.put(f"{blobs}/{key}", content=b"second").status_code == 422
    assert httpx.get(f"{blobs}/{key}").content == b"first"


def test_a_part_is_read_without_the_rest(blobs: str) -> None:
    key = put(blobs, b"0123456789")
    answer = httpx.get(f"{blobs}/{key}", headers={"range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert httpx.head(f"{blobs}/{key}").headers["content-length"] == "10"
    for wrong in ("bytes=4-2", "bytes=a-b", "lines=1-2", "bytes=1-"):
        assert httpx.get(f"{blobs}/{key}", headers={"range": wrong}).status_code == 422


def test_keys_are_listed_by_their_prefix(blobs: str, shop: Shop) -> None:
    key = put(blobs, b"x")
    assert httpx.get(blobs, params={"prefix": key[:20]}).json() == [key]
    assert len(httpx.get(blobs).json()) >= len(list(shop.services.objects.blobs.list_keys("packs/")))


def test_what_is_not_there_is_said(blobs: str) -> None:
    for method in ("GET", "HEAD"):
        assert httpx.request(method, f"{blobs}/packs/none").status_code == 404


@pytest.mark.parametrize("key", ["../secret", "packs/../../secret", "/etc/passwd", "packs//x", "packs/%2e%2e/x"])
def test_no_key_leads_out_of_the_store(blobs: str, key: str) -> None:
    for method in ("GET", "PUT"):
        answer = httpx.request(method, f"{blobs}/{key}")
        assert answer.status_code in (404, 405, 422), (method, answer.text)


def test_a_blob_never_runs_in_a_browser(blobs: str) -> None:
    key = put(blobs, b"<script>alert(1)</script>")
    headers = httpx.get(f"{blobs}/{key}").headers
    assert headers["content-disposition"] == "attachment"
    assert headers["content-security-policy"] == "sandbox"
    assert headers["content-type"] == "application/octet-stream"

"""What stands before the gateway: other sites' pages are refused on loopback, and strangers where a token is set."""

from pathlib import Path

import httpx
import pytest

from penstock.core.config import Config
from penstock.predictions.segment_log import SegmentLog
from penstock.processes.gateway import OPEN_PATHS, guard
from penstock.serving.gateway import Gateway
from serving_http import serve


@pytest.fixture
def gateway(tmp_path: Path):
    segments = SegmentLog(tmp_path)
    yield Gateway(segments)
    segments.close()


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
def test_a_page_of_another_site_gets_nothing(gateway: Gateway, headers: dict[str, str]) -> None:
    with serve(guard(gateway, Config())) as url:
        assert httpx.get(f"{url}/v2", headers=headers).status_code == 403
        assert httpx.get(f"{url}/v2").status_code == 200


def test_a_token_is_asked_for_where_one_is_set(gateway: Gateway) -> None:
    with serve(guard(gateway, Config(token="secret"))) as url:
        refused = httpx.get(f"{url}/v2")
        assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert httpx.get(f"{url}/v2", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert httpx.get(f"{url}/v2", headers={"authorization": "Bearer secret"}).status_code == 200


def test_a_load_balancer_needs_no_token(gateway: Gateway) -> None:
    with serve(guard(gateway, Config(token="secret", host="0.0.0.0"))) as url:
        assert {httpx.get(url + path).status_code for path in OPEN_PATHS} <= {200, 404, 503}

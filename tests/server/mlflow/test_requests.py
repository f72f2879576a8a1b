"""A body that is read the short way would be read alike the long way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.server.protocols.mlflow.requests import is_plain, parse_object

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(body=st.dictionaries(st.text(max_size=4), _values, max_size=4), ascii_only=st.booleans())
def test_a_plain_body_holds_nothing_that_the_long_way_refuses_or_drops(body: dict[str, Any], ascii_only: bool) -> None:
    written = json.dumps(body, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    if is_plain(written):
        assert parse_object(written) == body


@pytest.mark.parametrize(
    "body",
    [
        rb'{"experiment_id":"0","x":"\u0000"}',
        rb'{"experiment_id":"0","x":"\ud800"}',
        b'{"experiment_id":"0","x":"\xed\xa0\x80"}',
        b'{"experiment_id":"0","x":9223372036854775808}',
        b'{"experiment_id":"0","x":1e999}',
        b'{"experiment_id":"0","x":1E+400}',
        b'{"experiment_id":"0","x":' + b"[" * 70 + b"]" * 70 + b"}",
    ],
)
def test_what_the_long_way_refuses_is_not_plain_even_where_no_field_takes_it(body: bytes) -> None:
    assert not is_plain(body)
    with pytest.raises(InvalidInputError):
        parse_object(body)


def test_a_usual_request_is_plain() -> None:
    assert is_plain(b'{"experiment_id": "0", "run_name": "r1", "start_time": 1714564800000, "tags": []}')

"""How a stored file is answered: which part, under which name and type."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.downloads import as_attachment, find_range, guess_type


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 5)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=9-999999", (9, 10)),
        ("bytes=10-", None),
        ("bytes=10-12", None),
        ("bytes=-0", None),
        ("bytes=4-2", (0, 10)),
        ("bytes=0-1,3-4", (0, 10)),
        ("bytes=-", (0, 10)),
        ("lines=0-1", (0, 10)),
        ("bytes=a-b", (0, 10)),
        ("bytes=" + "9" * 30 + "-", (0, 10)),
    ],
)
def test_a_range_is_found_refused_or_passed_over(text: str, expected: tuple[int, int] | None) -> None:
    assert find_range(text, 10) == expected


def test_of_an_empty_file_there_is_no_part() -> None:
    assert find_range("bytes=0-", 0) is None and find_range("bytes=-5", 0) is None


@given(first=st.integers(0, 30), last=st.integers(0, 30), size=st.integers(0, 20))
def test_a_range_always_lies_in_the_file(first: int, last: int, size: int) -> None:
    for text in (f"bytes={first}-{last}", f"bytes={first}-", f"bytes=-{last}"):
        found = find_range(text, size)
        assert found is None or 0 <= found[0] <= found[1] <= size


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain"),
        ("b.PY", "text/plain"),
        ("MLmodel", "text/plain"),
        ("mlproject", "text/plain"),
        ("b.pkl", "application/octet-stream"),
        ("c.png", "image/png"),
        ("d.pdf", "application/pdf"),
        ("e", "application/octet-stream"),
        ("f.html", "text/html"),
    ],
)
def test_the_type_is_that_of_the_ending(name: str, kind: str) -> None:
    assert guess_type(name) == kind


def test_a_plain_name_is_given_as_it_is() -> None:
    assert as_attachment("dog+step+20.png") == "attachment; filename=dog+step+20.png"
    assert as_attachment("a b.txt") == "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"
    assert as_attachment('ü".txt') == "attachment; filename=\"__.txt\"; filename*=UTF-8''%C3%BC%22.txt"


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    header = as_attachment(name)
    header.encode("latin-1")
    assert re.fullmatch(
        r"attachment; filename=(?:[!#-+.0-9A-Z^-z|~*-]+|\"[ !#-\[\]-~]*\"; filename\*=UTF-8''[A-Za-z0-9%._~-]+)", header
    ), header

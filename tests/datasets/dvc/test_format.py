"""The bytes that DVC hashes are written as DVC writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import CorruptDataError
from penstock.datasets.dvc.format import Hasher, decode_folder, encode_folder, key_of, md5_of, old_key_of

GOLDEN = {"cat.jpeg": "de7371b0119f4f75f9de703c7c3bac16", "index.jpeg": "402e97968614f583ece3b35555971f64"}


def test_a_known_folder_has_its_known_md5() -> None:
    body = encode_folder(dict(reversed(GOLDEN.items())))
    assert body == (
        b'[{"md5": "de7371b0119f4f75f9de703c7c3bac16", "relpath": "cat.jpeg"}, '
        b'{"md5": "402e97968614f583ece3b35555971f64", "relpath": "index.jpeg"}]'
    )
    assert md5_of(body) == "6fdb5336fce0dbfd669f83065f107551"
    assert decode_folder(body) == GOLDEN


def test_keys_are_where_dvc_looks() -> None:
    assert key_of("6fdb5336fce0dbfd669f83065f107551.dir") == "files/md5/6f/db5336fce0dbfd669f83065f107551.dir"
    assert old_key_of("6fdb5336fce0dbfd669f83065f107551") == "6f/db5336fce0dbfd669f83065f107551"


names = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@given(files=st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), st.binary().map(md5_of)))
def test_any_folder_is_read_as_it_was_written(files: dict[str, str]) -> None:
    assert decode_folder(encode_folder(files)) == files
    assert encode_folder(files).isascii()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"md5": "de7371b0119f4f75f9de703c7c3bac16"}]',
        b'[{"md5": "x", "relpath": "a"}]',
        b'[{"md5": 7, "relpath": "a"}]',
        b'[{"md5": "de7371b0119f4f75f9de703c7c3bac16", "relpath": "../a"}]',
        b'[{"md5": "de7371b0119f4f75f9de703c7c3bac16", "relpath": "/etc/a"}]',
        b'[{"md5": "de7371b0119f4f75f9de703c7c3bac16", "relpath": "a//b"}]',
    ],
)
def test_a_list_that_leads_elsewhere_or_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptDataError, match="no list of files"):
        decode_folder(body)


def test_texts_have_the_md5_of_unix_the_old_way_and_other_files_have_their_own() -> None:
    text, unix, binary = b"a\r\nb\r\n", b"a\nb\n", b"\0a\r\n"
    old = Hasher(is_old=True)
    old.update(text)
    assert old.has(md5_of(unix))
    assert old.has(md5_of(text))
    assert old.md5 == md5_of(text)
    new = Hasher()
    new.update(text)
    assert not new.has(md5_of(unix))
    other = Hasher(is_old=True)
    other.update(binary)
    assert not other.has(md5_of(binary.replace(b"\r\n", b"\n")))

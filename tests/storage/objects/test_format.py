"""One encoding per content, and nothing dangerous comes out of a stored tree."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.ids import Digest
from penstock.storage.objects.format import (
    EntryKind,
    TreeEntry,
    check_entry_name,
    decode_parts,
    decode_rows,
    decode_tree,
    encode_parts,
    encode_tree,
    parse_digest,
    to_row,
)

RAW = bytes(32)
parts = st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(1, 2**32 - 1)))


def entry(name: str, kind: EntryKind = EntryKind.FILE) -> TreeEntry:
    return TreeEntry(name, kind, 1, Digest(RAW.hex()))


@given(listed=parts)
def test_a_list_of_chunks_of_any_length_comes_back(listed: list[tuple[bytes, int]]) -> None:
    assert decode_parts(encode_parts(listed)) == listed


@given(names=st.sets(st.sampled_from(["a", "b", "Z", "é", "10", "9", "a.b", "\U0001f600", "\uffff"])))
def test_a_tree_does_not_depend_on_the_order_it_was_made_in(names: set[str]) -> None:
    rows = [to_row(entry(name)) for name in names]
    encoded = encode_tree(rows)
    assert encode_tree(rows[::-1]) == encoded
    held = [item.name for item in decode_tree(encoded).entries]
    assert held == sorted(names, key=str.encode)
    assert encode_tree(decode_rows(encoded)) == encoded


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "..\\x", "a\0b", "x" * 256, "\udc80"])
def test_a_name_that_could_lead_out_is_refused_in_both_directions(name: str) -> None:
    with pytest.raises(InvalidInputError):
        check_entry_name(name)
    with pytest.raises(InvalidInputError):
        to_row(entry(name))
    if name != "\udc80":
        with pytest.raises(CorruptDataError, match="no tree"):
            decode_tree(msgspec.msgpack.encode([(name, 0, 1, RAW)]))


@pytest.mark.parametrize(
    "rows",
    [
        [("b", 0, 1, RAW), ("a", 0, 1, RAW)],
        [("a", 0, 1, RAW), ("a", 0, 1, RAW)],
        [("a", 4, 1, RAW)],
        [("a", -1, 1, RAW)],
        [("a", 0, -1, RAW)],
        [("a", 0, 1, RAW[1:])],
        [("a", 0, 1)],
        {"a": 1},
    ],
    ids=["disordered", "twice", "kind", "negative kind", "negative size", "short digest", "short row", "no list"],
)
def test_a_tree_that_is_not_canonical_is_damage(rows: object) -> None:
    with pytest.raises(CorruptDataError):
        decode_tree(msgspec.msgpack.encode(rows))


@given(junk=st.binary(max_size=80))
def test_junk_is_refused_or_canonical(junk: bytes) -> None:
    try:
        rows = decode_rows(junk)
    except CorruptDataError:
        return
    assert encode_tree(rows) == junk


@pytest.mark.parametrize("text", ["", "ab", "AB" * 32, "ab" * 32 + "\n", "../" * 22])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="64 hexadecimal digits"):
        parse_digest(text)

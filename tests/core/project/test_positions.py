"""Lines of keys, found without a TOML library that keeps them."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.project.positions import KeyPath, find_positions

TEXT = '''\
# a comment with [brackets] = and "quotes"
top = 1
[a.b]            # [not.this]
c = "x # ]"
d.e = [
  1,  # one
  { f = 2, g = [3] },
]
"quo.ted" = """
h = 1
[no]
"""
[[list]]
x = 1
[[list]]
x = 2
[list.sub]
y = 1979-05-27T07:32:00Z
[[list.deep]]
z = \'\'\'q = 1\'\'\'
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("a", "b"), 3),
        (("a", "b", "c"), 4),
        (("a", "b", "d", "e"), 5),
        (("a", "b", "d", "e", 0), 6),
        (("a", "b", "d", "e", 1, "g", 0), 7),
        (("a", "b", "quo.ted"), 9),
        (("list", 0, "x"), 14),
        (("list", 1), 15),
        (("list", 1, "x"), 16),
        (("list", 1, "sub", "y"), 18),
        (("list", 1, "deep", 0, "z"), 20),
    ],
)
def test_each_kind_of_key_has_its_line(path: KeyPath, line: int) -> None:
    assert find_positions(TEXT)[path] == line


def _paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in ((*path, key), *_paths(inner, (*path, key)))]


def test_every_key_that_toml_sees_has_a_line() -> None:
    positions = find_positions(TEXT)
    assert [path for path in _paths(tomllib.loads(TEXT)) if path not in positions] == []


_keys = st.sampled_from(["a", "b-1", '"c d"', "'e.f'"])
_values = st.recursive(
    st.sampled_from(["1", "-2.5e3", "true", '"x, ]}#\\" ="', "'y]'", "1979-05-27", '"""m\n[n]\n"""']),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[ " + ", # c\n ".join(items) + " ]"),
    max_leaves=6,
)


@given(st.dictionaries(_keys, _values, min_size=1))
def test_no_value_hides_the_key_after_it(pairs: dict[str, str]) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in pairs.items())
    positions = find_positions(text)
    assert [path for path in _paths(tomllib.loads(text)) if path not in positions] == []
    lines = text.split("\n")
    for key in pairs:
        name = next(iter(tomllib.loads(f"{key} = 1")))
        assert lines[positions[(name,)] - 1].startswith(key)

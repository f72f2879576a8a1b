"""YAML that anybody may have written gives plain values or a refusal, and never ends the process."""

import pytest
import yaml

from penstock.core.plain_yaml import DEEPEST, load_yaml


def test_plain_values_come_as_they_stand() -> None:
    assert load_yaml("a: [1, {b: 2.5}]\nc: null\n") == {"a": [1, {"b": 2.5}], "c": None}
    assert load_yaml(b"a: \xc3\xa9") == {"a": "é"}
    assert load_yaml("[" * DEEPEST + "]" * DEEPEST)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [DEEPEST + 1, 20_000])
def test_what_is_nested_too_deeply_is_refused(opening: str, depth: int) -> None:
    with pytest.raises(yaml.YAMLError, match="nested"):
        load_yaml(opening * depth)


@pytest.mark.parametrize("text", ["!!python/name:os.system", "a: b: c", "\0", b"\xff\xfe\xff", "*a"])
def test_what_is_no_plain_yaml_is_refused(text: str | bytes) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)

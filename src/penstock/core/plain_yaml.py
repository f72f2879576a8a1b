"""Reads YAML that anybody may have written: plain values, nested to a bounded depth."""

from typing import Any

import yaml

DEEPEST = 100
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, where PyYAML was built with it


def load_yaml(text: str | bytes) -> Any:
    """The values of a document.

    Raises:
        yaml.YAMLError: it is no YAML, holds more than plain values, or is nested more than `DEEPEST` levels.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):  # the loader recurses in C, to where the process dies
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise yaml.YAMLError(f"nested more than {DEEPEST} levels")
    return yaml.load(text, Loader=_Loader)

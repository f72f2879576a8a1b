"""The key of a step: equal keys promise equal results, and two keys can be told apart in words."""

from typing import Any

from blake3 import blake3
from msgspec import Struct

from penstock.core import codec


class KeyParts(Struct, frozen=True, kw_only=True):
    """All that the result of a step depends on."""

    function: str
    code: dict[str, str]  # digest by function or module
    params: dict[str, Any]  # arguments known beforehand
    inputs: dict[str, str]  # identity of each value that other steps or the data gave, by argument
    environment: str  # digest of the interpreter and all installed packages
    seed: int

    @property
    def key(self) -> str:
        """The digest of all parts."""
        return blake3(codec.encode(self)).hexdigest()


def explain(old: KeyParts, new: KeyParts) -> list[str]:
    """What changed between two keys of a step, a sentence for each change; empty when nothing did."""
    told = []
    if old.function != new.function:
        told.append(f"the step is {new.function} and was {old.function}")
    told += _differences("code of", old.code, new.code, with_values=False)
    told += _differences("parameter", old.params, new.params, with_values=True)
    told += _differences("input", old.inputs, new.inputs, with_values=False)
    if old.environment != new.environment:
        told.append("the environment changed: another Python, or another version of some package")
    if old.seed != new.seed:
        told.append(f"the seed is {new.seed} and was {old.seed}")
    return told


def _differences(what: str, old: dict[str, Any], new: dict[str, Any], *, with_values: bool) -> list[str]:
    told = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            told.append(f"{what} {name} is new")
        elif name not in new:
            told.append(f"{what} {name} is gone")
        elif old[name] != new[name]:
            values = f" from {old[name]!r} to {new[name]!r}" if with_values else ""
            told.append(f"{what} {name} changed{values}")
    return told

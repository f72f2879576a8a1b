"""Reads plain TOML values into records field by field, and goes on after a mistake so that all of them are found."""

import types
from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from penstock.core.clock import parse_duration
from penstock.core.codec import nearest_hint
from penstock.core.project.mistakes import Mistake, key_text
from penstock.core.project.positions import KeyPath
from penstock.core.project.rates import Rate, parse_rate

S = TypeVar("S", bound=Struct)

_FROM_TEXT: dict[Any, Callable[[str], Any]] = {timedelta: parse_duration, Rate: parse_rate}
_STAND_INS: dict[Any, Any] = {str: "", int: 0, float: 0.0, bool: False}  # for a value that could not be read
_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


class Reader:
    """Reads values, keeps the mistakes, and remembers where each record stood.

    Attributes:
        mistakes: what was wrong so far.
        records: every record read, with its path; one with a mistake inside is filled up with defaults.
    """

    def __init__(self, positions: dict[KeyPath, int], *, forgive: frozenset[str] = frozenset()) -> None:
        self.mistakes: list[Mistake] = []
        self.records: list[tuple[Struct, KeyPath]] = []
        self._positions = positions
        self._forgive = forgive  # keys that stand in the file but could not be read; they are not missing
        self._wrong: set[KeyPath] = set()

    def report(self, path: KeyPath, problem: str, hint: str = "") -> None:
        """Keep a mistake, unless one is known for this very key or for a table around it."""
        if not self.is_sound(path):
            return
        self._wrong.add(path)
        self.mistakes.append(Mistake(self._line(path), key_text(path), problem, hint))

    def is_sound(self, path: KeyPath) -> bool:
        """Whether nothing is known to be wrong with this key, nor with a table around it."""
        return not any(path[:length] in self._wrong for length in range(1, len(path) + 1))

    def read(self, value: Any, kind: Any, path: KeyPath) -> Any:
        """The value as `kind`; a mistake is kept and gives a stand-in."""
        kind = _without_none(kind)
        origin = get_origin(kind)
        if kind in _FROM_TEXT:
            return self._from_text(value, kind, path)
        if isinstance(kind, type) and issubclass(kind, Struct):
            return self._record(value, kind, path)
        if origin in (Union, types.UnionType) and all(_is_record(each) for each in get_args(kind)):
            return self._tagged(value, get_args(kind), path)
        if origin is Literal:
            return self._one_of(value, get_args(kind), path)
        if origin is tuple and get_args(kind)[-1] is Ellipsis:
            return self._list(value, get_args(kind)[0], path)
        if origin is dict:
            return self._table(value, get_args(kind)[1], path)
        return self._plain(value, kind, path)

    def _line(self, path: KeyPath) -> int:
        for length in range(len(path), 0, -1):
            if path[:length] in self._positions:
                return self._positions[path[:length]]
        return 1

    def read_whole(self, value: dict[str, Any], kind: type[S], **given: Any) -> S:
        """The whole file as one record, of which some fields are given and so are no keys."""
        record: S = self._record(value, kind, (), given)
        return record

    def _record(self, value: Any, kind: type[Struct], path: KeyPath, given: dict[str, Any] | None = None) -> Any:
        if not isinstance(value, dict):
            self.report(path, f"a table was expected, not {_show(value)}")
            value = {}
        given = dict(given or {})
        fields = [each for each in msgspec.structs.fields(kind) if each.name not in given]
        known = [each.encode_name for each in fields]
        tag = kind.__struct_config__.tag_field
        misspelt = set(self._forgive)  # what an unknown key was probably meant to be is not missing as well
        for name in value:
            if name not in known and name != tag:
                hint = nearest_hint(name, known)
                misspelt.update(each for each in known if hint == f"did you mean {each!r}?")
                self.report((*path, name), "there is no such key here", hint)
        hints = get_type_hints(kind, include_extras=True)
        for each in fields:
            where = (*path, each.encode_name)
            if each.encode_name in value:
                result = self.read(value[each.encode_name], hints[each.name], where)
                if self.is_sound(where) or each.required:
                    given[each.name] = result
            elif each.required:
                given[each.name] = _stand_in(hints[each.name])
                if each.encode_name not in misspelt:
                    self._missing(path, each.encode_name)
        record = kind(**given)
        self.records.append((record, path))
        return record

    def _missing(self, path: KeyPath, name: str) -> None:
        if self.is_sound(path):
            where = (*path, name)
            self._wrong.add(where)
            self.mistakes.append(Mistake(self._line(path), key_text(where), "this key has to be there and is not"))

    def _tagged(self, value: Any, kinds: tuple[type[Struct], ...], path: KeyPath) -> Any:
        by_tag = {str(each.__struct_config__.tag): each for each in kinds}
        tag = kinds[0].__struct_config__.tag_field or "type"
        if not isinstance(value, dict):
            return self.report(path, f"a table was expected, not {_show(value)}")
        if tag not in value:
            self._missing(path, tag)
            return None
        if self._one_of(value[tag], tuple(by_tag), (*path, tag)) is None:
            return None
        return self._record(value, by_tag[value[tag]], path)

    def _one_of(self, value: Any, choices: tuple[Any, ...], path: KeyPath) -> Any:
        if value in choices and isinstance(value, str):
            return value
        near = nearest_hint(value, choices) if isinstance(value, str) else ""
        near = near if near.startswith("did you mean") else ""
        return self.report(path, f"{_show(value)} is not one of {', '.join(choices)}", near)

    def _list(self, value: Any, kind: Any, path: KeyPath) -> Any:
        if not isinstance(value, list):
            self.report(path, f"a list was expected, not {_show(value)}", "write it in [ ]")
            return ()
        items = [self.read(item, kind, (*path, index)) for index, item in enumerate(value)]
        return tuple(item for item in items if item is not None)

    def _table(self, value: Any, kind: Any, path: KeyPath) -> Any:
        if not isinstance(value, dict):
            self.report(path, f"a table was expected, not {_show(value)}")
            return {}
        return {name: self.read(item, kind, (*path, name)) for name, item in value.items()}

    def _from_text(self, value: Any, kind: Any, path: KeyPath) -> Any:
        try:
            return _FROM_TEXT[kind](value if isinstance(value, str) else str(value))
        except ValueError as error:
            return self.report(path, str(error))

    def _plain(self, value: Any, kind: Any, path: KeyPath) -> Any:
        value = value.isoformat() if isinstance(value, date | time) else value
        try:
            return msgspec.convert(value, kind, strict=True)
        except msgspec.ValidationError as error:
            self.report(path, _in_words(str(error), value))
            return _stand_in(kind)


def _without_none(kind: Any) -> Any:
    """TOML has no null, so `X | None` is read as `X`."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    left = tuple(each for each in get_args(kind) if each is not types.NoneType)
    return Union[left] if len(left) < len(get_args(kind)) else kind  # noqa: UP007  # built from a tuple


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _stand_in(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_args(kind)[0] if get_origin(kind) is Literal else _STAND_INS.get(kind)


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _in_words(message: str, value: Any) -> str:
    """Msgspec's message about one value, for somebody who does not know it."""
    message = message.partition(" - at ")[0].removeprefix("Expected ")
    if "matching regex" in message:
        return f"{value!r} does not do as a name; use letters, digits, '_', '.' or '-', from a letter or digit on"
    expected, _, _got = message.partition(", got ")
    if expected.startswith("`str` of length"):
        return f"{_show(value)} is too short"
    for word, meaning in _WORDS.items():
        expected = expected.replace(f"`{word}`", meaning).replace(word + " | ", f"{meaning}, ")
    return f"{expected.replace('`', '')} was expected, not {_show(value)}"

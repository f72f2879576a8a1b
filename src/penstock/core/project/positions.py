"""The line on which each key of a TOML text stands; `tomllib` gives values only."""

import bisect
import re
import tomllib

KeyPath = tuple[str | int, ...]  # ("gate", 0, "metric"); numbers count the items of arrays
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}\n#]*")


def find_positions(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of every table, key and array item.

    Args:
        text: TOML that `tomllib` reads without an error.
    """
    return _Scanner(text).scan()


class _Scanner:
    """Walks over a text that is known to be TOML, so it looks only at what separates keys from values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.positions: dict[KeyPath, int] = {}
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._items: dict[KeyPath, int] = {}  # how many [[tables]] an array has so far

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip(_BLANK):
            if self._next("[["):
                table = self._header(is_array=True)
            elif self._next("["):
                table = self._header(is_array=False)
            else:
                self._pair(table)
        return self.positions

    def _header(self, *, is_array: bool) -> KeyPath:
        start = self.at
        self.at += 2 if is_array else 1
        keys = self._keys()
        self.at += 2 if is_array else 1
        path: KeyPath = ()
        for place, key in enumerate(keys):
            path = (*path, key)
            self._mark(path, start)
            if is_array and place == len(keys) - 1:
                self._items[path] = self._items.get(path, 0) + 1
            if path in self._items:
                path = (*path, self._items[path] - 1)
        self._mark(path, start)
        return path

    def _pair(self, table: KeyPath) -> None:
        start = self.at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._mark(path, start)
        self.at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._next("."):
            self.at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_SPACE)
        match = _STRING.match(self.text, self.at) or _BARE_KEY.match(self.text, self.at)
        if match is None:
            raise ValueError(f"no key at {self.at}")
        self.at = match.end()
        self._skip(_SPACE)
        raw = match.group()
        return str(tomllib.loads(f"key = {raw}")["key"]) if raw[0] in "\"'" else raw

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline_table(path)
        else:
            match = _STRING.match(self.text, self.at) or _PLAIN.match(self.text, self.at)
            self.at = match.end() if match else self.at

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while self._skip(_BLANK) and not self._next("]"):
            if self._next(","):
                self.at += 1
                continue
            self._mark((*path, index), self.at)
            self._value((*path, index))
            index += 1
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self._skip(_BLANK) and not self._next("}"):
            if self._next(","):
                self.at += 1
            else:
                self._pair(path)
        self.at += 1

    def _mark(self, path: KeyPath, at: int) -> None:
        self.positions.setdefault(path, bisect.bisect_left(self._line_ends, at) + 1)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Pass over what matches; false at the end of the text."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at < len(self.text)

    def _next(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

"""Thrift's compact protocol, as far as the end of a Parquet file needs it: structures as dictionaries by field number.

Source: the Apache Thrift compact protocol specification.
"""

from typing import Any, TypeAlias

from penstock.core.errors import CorruptDataError

Fields: TypeAlias = dict[int, Any]
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_DEEPEST = 32


def decode_struct(data: bytes) -> Fields:
    """A structure's fields by their numbers; texts are bytes.

    Raises:
        CorruptDataError: it is none.
    """
    try:
        return _Decoder(data).struct(0)
    except (IndexError, ValueError, RecursionError) as error:
        raise CorruptDataError(f"this is no structure of Thrift: {error}") from error


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def struct(self, depth: int) -> Fields:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        fields: Fields = {}
        number = 0
        while head := self._byte():
            kind, step = head & 0x0F, head >> 4
            number = number + step if step else self._signed()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE, _BYTE):  # within a list a truth takes a byte
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._signed()
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _BINARY:
            return self._take(self._unsigned())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _MAP:
            return self._map(depth)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"there is no type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        length = head >> 4
        if length == 15:
            length = self._unsigned()
        self._check(length)
        return [self._value(head & 0x0F, depth) for _ in range(length)]

    def _map(self, depth: int) -> dict[Any, Any]:
        length = self._unsigned()
        if not length:
            return {}
        self._check(length)
        kinds = self._byte()
        return dict((self._value(kinds >> 4, depth), self._value(kinds & 0x0F, depth)) for _ in range(length))

    def _byte(self) -> int:
        value = self._data[self._place]
        self._place += 1
        return value

    def _take(self, length: int) -> bytes:
        self._check(length)
        self._place += length
        return self._data[self._place - length : self._place]

    def _check(self, length: int) -> None:
        """Every value takes a byte at least."""
        if length > len(self._data) - self._place:
            raise ValueError("it ends too early")

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise ValueError("a number is too large")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

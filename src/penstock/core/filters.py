"""The language of searches: `metrics.auc > 0.9 AND tags.team = 'risk'`, and orders such as `metrics.auc DESC`.

Clauses are joined by AND alone; parentheses hold the values of IN. What may stand in a clause is data, a `Grammar`, so
that runs, experiments and models are searched in one language.
"""

import math
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError

LENGTH_LIMIT = 200_000  # characters in a filter; a list of a few thousand run ids fits
CLAUSE_LIMIT = 100
LIST_LIMIT = 5_000  # values in one list
ORDER_LIMIT = 20  # keys to order by
_NUMBER_LENGTH = 400  # characters; no float needs more

# Quantifiers are possessive (`*+`), so that no text makes the parser go back.
_SPACE = re.compile(r"\s*+")
_WORD = re.compile(r"[^\s\"'`=!<>(),;]++")
_FIRST_WORD = re.compile(r"[^\s\"'`=!<>(),;.]++")
_QUOTED_KEY = re.compile(r"`([^`]++)`|\"([^\"]++)\"")
_TEXT = re.compile(r"'((?:[^']|'')*+)'|\"((?:[^\"]|\"\")*+)\"")
_NUMBER = re.compile(r"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+(?![^\s,;)])")
_QUOTED_NUMBER = re.compile(r"(['\"])([0-9]{1,18})\1")
_COMPARATOR = re.compile(
    r"(?:!=|<=|>=|=|<|>)(?![=<>!])|(?:(?:NOT\s++)?IN|IS\s++(?:NOT\s++)?NULL|I?LIKE)(?![\w.])", re.IGNORECASE
)
_AND = re.compile(r"AND(?![\w.])", re.IGNORECASE)
_DIRECTION = re.compile(r"(ASC|DESC)(?![^\s])", re.IGNORECASE)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class Comparator(StrEnum):
    """How a clause compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IN = "IN"
    NOT_IN = "NOT IN"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"


LISTS = frozenset({Comparator.IN, Comparator.NOT_IN})
NULLS = frozenset({Comparator.IS_NULL, Comparator.IS_NOT_NULL})


class Clause(Struct, frozen=True):
    """One condition; all of a filter's have to hold.

    Attributes:
        entity: what the key belongs to, in the grammar's own word for it.
        key: the name of the metric, parameter, tag or attribute.
        comparator: how the two sides are compared.
        value: the right side; several texts for IN and NOT IN, None for IS NULL and IS NOT NULL.
    """

    entity: str
    key: str
    comparator: Comparator
    value: str | int | float | tuple[str, ...] | None


class Order(Struct, frozen=True):
    """One key to order by."""

    entity: str
    key: str
    is_descending: bool = False


class Field(Struct, frozen=True):
    """What may be asked of a key.

    Attributes:
        is_number: values are bare numbers; else they are texts in quotes.
        comparators: those that make sense.
        is_orderable: whether results can be ordered by it.
        is_quotable: whether a whole number may stand in quotes.
    """

    is_number: bool
    comparators: frozenset[Comparator]
    is_orderable: bool = True
    is_quotable: bool = False


_EQUALITY = frozenset({Comparator.EQUAL, Comparator.NOT_EQUAL})
_RANGES = {Comparator.LESS, Comparator.LESS_OR_EQUAL, Comparator.GREATER, Comparator.GREATER_OR_EQUAL}
NUMBER = Field(True, _EQUALITY | _RANGES)
QUOTABLE_NUMBER = Field(True, NUMBER.comparators, is_quotable=True)
TEXT = Field(False, _EQUALITY | {Comparator.LIKE, Comparator.ILIKE})
LISTED_TEXT = Field(False, TEXT.comparators | LISTS)
OPTIONAL_TEXT = Field(False, TEXT.comparators | NULLS)
IDENTIFIER = Field(False, _EQUALITY | LISTS)


class Entity(Struct, frozen=True):
    """One kind of left side.

    Attributes:
        name: the word for it in clauses.
        spellings: other words that callers may write.
        keys: the keys that there are; empty where any key may be asked for, as `any_key`.
        aliases: other names of these keys.
        any_key: what may be asked of every key, where there is no list of them.
    """

    name: str
    spellings: tuple[str, ...] = ()
    keys: dict[str, Field] = {}
    aliases: dict[str, str] = {}
    any_key: Field | None = None


class Grammar(Struct, frozen=True):
    """What may stand in the filters and orders of one kind of search.

    Attributes:
        entities: the kinds of left sides.
        default: the name of the one that is meant where a key stands alone.
    """

    entities: tuple[Entity, ...]
    default: str

    def find_entity(self, word: str) -> Entity | None:
        """The entity of that name or spelling."""
        return next((each for each in self.entities if word == each.name or word in each.spellings), None)


def parse_filter(text: str, grammar: Grammar) -> tuple[Clause, ...]:
    """The clauses of a filter; none for an empty one.

    Raises:
        InvalidInputError: it cannot be read; the message quotes the part that is wrong and says what is allowed there.
    """
    reader = _Reader(text, grammar, "filter")
    clauses: list[Clause] = []
    while not reader.is_at_end:
        if clauses:
            reader.expect_and()
        clauses.append(reader.read_clause())
        if len(clauses) > CLAUSE_LIMIT:
            raise reader.refuse(f"it has more than {CLAUSE_LIMIT} clauses")
    return tuple(clauses)


def parse_order(texts: Sequence[str], grammar: Grammar) -> tuple[Order, ...]:
    """The keys to order by, the first one first; each text is a key, and ASC or DESC behind it.

    Raises:
        InvalidInputError: one cannot be read, or stands there twice.
    """
    if len(texts) > ORDER_LIMIT:
        raise InvalidInputError(f"order_by has {len(texts)} keys and {ORDER_LIMIT} are allowed", field="order_by")
    found: dict[tuple[str, str], Order] = {}
    for text in texts:
        order = _Reader(text, grammar, "order_by").read_order()
        if (order.entity, order.key) in found:
            raise InvalidInputError(f"order_by names {_shorten(text)} twice", field="order_by")
        found[order.entity, order.key] = order
    return tuple(found.values())


class _Reader:
    """Goes through one text from left to right, once."""

    def __init__(self, text: str, grammar: Grammar, what: str) -> None:
        if len(text) > LENGTH_LIMIT:
            raise InvalidInputError(f"the {what} has {len(text)} characters and {LENGTH_LIMIT} are allowed", field=what)
        if _UNSTORABLE.search(text):
            raise InvalidInputError(f"the {what} holds a NUL character or half a surrogate pair", field=what)
        self._text = text
        self._grammar = grammar
        self._what = what
        self._spaced = [alias for each in grammar.entities for alias in each.aliases if " " in alias]
        self._place = 0
        self._skip_space()

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._place == len(self._text)

    def refuse(self, problem: str, hint: str = "") -> InvalidInputError:
        """The mistake, in words."""
        return InvalidInputError(
            f"the {self._what} cannot be read at character {self._place + 1}: {problem}", hint=hint, field=self._what
        )

    def expect_and(self) -> None:
        """Step over the AND between two clauses."""
        if self._take(_AND) is None:
            raise self.refuse(
                f"AND was expected, not {self._rest()}", "join clauses with AND; there is no OR, nor any parentheses"
            )
        if self.is_at_end:
            raise self.refuse("a clause was expected after the last AND")

    def read_clause(self) -> Clause:
        """A key, a comparator and a value."""
        entity, key, field, shown = self._read_key()
        if not field.comparators:
            raise self.refuse(f"results can be ordered by {shown}, but not searched by it")
        taken = self._take(_COMPARATOR)
        if taken is None:
            raise self.refuse(f"a comparator was expected after {shown}, not {self._rest()}", _allowed(field))
        comparator = Comparator(" ".join(taken[0].upper().split()))
        if comparator not in field.comparators:
            raise self.refuse(f"{shown} cannot be compared with {comparator}", _allowed(field))
        return Clause(entity, key, comparator, self._read_value(comparator, field, shown))

    def read_order(self) -> Order:
        """A key, and ASC or DESC."""
        entity, key, field, shown = self._read_key()
        direction = self._take(_DIRECTION)
        if not self.is_at_end:
            raise self.refuse(f"ASC or DESC was expected after {shown}, not {self._rest()}")
        if not field.is_orderable:
            raise self.refuse(f"nothing can be ordered by {shown}")
        return Order(entity, key, direction is not None and direction[0].upper() == "DESC")

    def _read_key(self) -> tuple[str, str, Field, str]:
        """Entity, key, what may be asked of it, and both as they were written."""
        begin = self._place
        first, is_quoted = self._read_part(_FIRST_WORD)
        second: str | None = None
        if self._text.startswith(".", self._place):
            self._place += 1
            second, _ = self._read_part(_WORD)
        elif is_quoted and "." in first:  # `metrics.auc`, quoted as a whole
            first, second = first.split(".", 1)
        shown = _shorten(self._text[begin : self._place])
        self._skip_space()
        entity, key = self._resolve(first, second)
        field = entity.keys.get(key, entity.any_key)
        if field is None or not key:
            raise self.refuse(f"there is no {entity.name} {_shorten(key)}", nearest_hint(key[:100], entity.keys))
        return entity.name, key, field, shown

    def _resolve(self, first: str, second: str | None) -> tuple[Entity, str]:
        """Which entity is meant, and which of its keys."""
        entity = self._grammar.find_entity(self._grammar.default if second is None else first)
        if entity is None:
            known = ", ".join(each.spellings[0] if each.spellings else each.name for each in self._grammar.entities)
            raise self.refuse(f"there are no {_shorten(first)} to search by", f"keys begin with one of {known}")
        key = first if second is None else second
        return entity, entity.aliases.get(key, key)

    def _read_part(self, word: "re.Pattern[str]") -> tuple[str, bool]:
        """A word or a quoted name, and whether it was quoted."""
        for alias in self._spaced:
            if self._text.startswith(alias, self._place):
                self._place += len(alias)
                return alias, False
        found = word.match(self._text, self._place) or _QUOTED_KEY.match(self._text, self._place)
        if found is None:
            raise self.refuse(
                f"a key was expected, not {self._rest()}",
                "write ENTITY.KEY, with backticks around a key that holds spaces or signs",
            )
        self._place = found.end()
        return found[found.lastindex or 0], found.lastindex is not None

    def _read_value(
        self, comparator: Comparator, field: Field, shown: str
    ) -> str | int | float | tuple[str, ...] | None:
        if comparator in NULLS:
            return None
        if comparator in LISTS:
            return self._read_list(shown)
        if not field.is_number:
            return self._read_text(shown)
        quoted = self._take(_QUOTED_NUMBER) if field.is_quotable else None
        return self._read_number(shown) if quoted is None else int(quoted[2])

    def _read_number(self, shown: str) -> int | float:
        found = self._take(_NUMBER)
        if found is None or len(found[0]) > _NUMBER_LENGTH:
            raise self.refuse(
                f"{shown} has to be compared with a number, not {_shorten(found[0]) if found else self._rest()}",
                "write the number without quotes",
            )
        number = float(found[0])
        if math.isinf(number):
            raise self.refuse(f"the number {_shorten(found[0])} is larger than any float")
        return int(found[0]) if found[0].lstrip("+-").isdecimal() else number

    def _read_text(self, shown: str) -> str:
        found = self._take(_TEXT)
        if found is None:
            raise self.refuse(
                f"{shown} has to be compared with a text in quotes, not {self._rest()}",
                "write 'text' or \"text\", and a quote inside twice",
            )
        single, double = found.groups()
        return single.replace("''", "'") if single is not None else double.replace('""', '"')

    def _read_list(self, shown: str) -> tuple[str, ...]:
        if not self._step_over("("):
            raise self.refuse(f"a list was expected after {shown}, not {self._rest()}", "write ('a', 'b')")
        values = [self._read_text(shown)]
        while self._step_over(",") and not self._text.startswith(")", self._place):
            values.append(self._read_text(shown))
        if not self._step_over(")"):
            raise self.refuse(f"',' or ')' was expected, not {self._rest()}", "write ('a', 'b')")
        if len(values) > LIST_LIMIT:
            raise self.refuse(f"the list of {shown} has {len(values)} values and {LIST_LIMIT} are allowed")
        return tuple(values)

    def _take(self, pattern: "re.Pattern[str]") -> "re.Match[str] | None":
        found = pattern.match(self._text, self._place)
        if found is not None:
            self._place = found.end()
            self._skip_space()
        return found

    def _step_over(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._place):
            return False
        self._place += 1
        self._skip_space()
        return True

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._place)
        self._place = found.end() if found else self._place

    def _rest(self) -> str:
        """What stands here, for a message."""
        if self.is_at_end:
            return "the end"
        words = self._text[self._place : self._place + 200].split(maxsplit=1)
        return _shorten(words[0]) if words else "a space"


def _allowed(field: Field) -> str:
    names: Iterable[str] = (each.value for each in Comparator if each in field.comparators)
    return f"use one of {', '.join(names)}"


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")

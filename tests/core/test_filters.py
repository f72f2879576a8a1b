"""The language of searches: what is read, what is refused, and that no text makes it stumble."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.core.filters import (
    CLAUSE_LIMIT,
    LENGTH_LIMIT,
    LIST_LIMIT,
    LISTED_TEXT,
    LISTS,
    NULLS,
    NUMBER,
    OPTIONAL_TEXT,
    QUOTABLE_NUMBER,
    TEXT,
    Clause,
    Comparator,
    Entity,
    Field,
    Grammar,
    Order,
    parse_filter,
    parse_order,
)

GRAMMAR = Grammar(
    (
        Entity("metric", ("metrics",), any_key=NUMBER),
        Entity("param", ("params", "parameter", "parameters"), any_key=OPTIONAL_TEXT),
        Entity("tag", ("tags",), any_key=OPTIONAL_TEXT),
        Entity(
            "attribute",
            ("attributes", "attr", "run"),
            keys={
                "run_id": LISTED_TEXT,
                "run_name": TEXT,
                "status": TEXT,
                "start_time": NUMBER,
                "version": QUOTABLE_NUMBER,
            },
            aliases={"created": "start_time", "run name": "run_name", "Run name": "run_name"},
        ),
        Entity("dataset", ("datasets",), keys={"name": Field(False, LISTED_TEXT.comparators, is_orderable=False)}),
    ),
    default="attribute",
)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", ()),
        (" \n ", ()),
        ("metrics.auc > 0.9", (Clause("metric", "auc", Comparator.GREATER, 0.9),)),
        ("metric.auc>=-1", (Clause("metric", "auc", Comparator.GREATER_OR_EQUAL, -1),)),
        ("metrics.auc < 1e-3", (Clause("metric", "auc", Comparator.LESS, 0.001),)),
        ("metrics.`val/auc score` <= .5", (Clause("metric", "val/auc score", Comparator.LESS_OR_EQUAL, 0.5),)),
        ('parameters."a.b" != "it\'s"', (Clause("param", "a.b", Comparator.NOT_EQUAL, "it's"),)),
        ("params.a.b-c = 'it''s'", (Clause("param", "a.b-c", Comparator.EQUAL, "it's"),)),
        ("tags.mlflow.user LIKE '%a_'", (Clause("tag", "mlflow.user", Comparator.LIKE, "%a_"),)),
        ("tag.x ilike ''", (Clause("tag", "x", Comparator.ILIKE, ""),)),
        ("tags.x is  not\nnull", (Clause("tag", "x", Comparator.IS_NOT_NULL, None),)),
        ("params.x IS NULL", (Clause("param", "x", Comparator.IS_NULL, None),)),
        ("status = 'RUNNING'", (Clause("attribute", "status", Comparator.EQUAL, "RUNNING"),)),
        ("attr.created > 5", (Clause("attribute", "start_time", Comparator.GREATER, 5),)),
        ("run name = 'a'", (Clause("attribute", "run_name", Comparator.EQUAL, "a"),)),
        ("attribute.`Run name` = 'a'", (Clause("attribute", "run_name", Comparator.EQUAL, "a"),)),
        ("run.run_id IN ('a',)", (Clause("attribute", "run_id", Comparator.IN, ("a",)),)),
        ("run_id not  in('a' , \"b\")", (Clause("attribute", "run_id", Comparator.NOT_IN, ("a", "b")),)),
        ("version = '12'", (Clause("attribute", "version", Comparator.EQUAL, 12),)),
        ('version >= "12"', (Clause("attribute", "version", Comparator.GREATER_OR_EQUAL, 12),)),
        ("version = 12", (Clause("attribute", "version", Comparator.EQUAL, 12),)),
        ("`metrics.auc` = 1", (Clause("metric", "auc", Comparator.EQUAL, 1),)),
        ("`metrics`.`auc` = 1", (Clause("metric", "auc", Comparator.EQUAL, 1),)),
        (
            "metrics.and = 1 and datasets.name = 'x' AnD tags.b = ' AND '",
            (
                Clause("metric", "and", Comparator.EQUAL, 1),
                Clause("dataset", "name", Comparator.EQUAL, "x"),
                Clause("tag", "b", Comparator.EQUAL, " AND "),
            ),
        ),
    ],
)
def test_a_filter_is_read(text: str, clauses: tuple[Clause, ...]) -> None:
    assert parse_filter(text, GRAMMAR) == clauses


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("metrics.a > 1 OR metrics.b > 1", "AND was expected, not 'OR'"),
        ("metrics.a > 1 metrics.b > 1", "AND was expected, not 'metrics.b'"),
        ("metrics.a > 1; metrics.b > 1", "AND was expected, not ';'"),
        ("metrics.a > 1 AND (metrics.b > 1)", "a key was expected, not '(metrics.b'"),
        ("metrics.a > 1 AND", "a clause was expected after the last AND"),
        ("AND metrics.a > 1", "there is no attribute 'AND'"),
        ("metrics.a", "a comparator was expected after 'metrics.a', not the end"),
        ("metrics.a == 1", "not '=='"),
        ("metrics.a <> 1", "not '<>'"),
        ("metrics.a > '1'", "has to be compared with a number, not \"'1'\""),
        ("version = '1.5'", "has to be compared with a number, not \"'1.5'\""),
        ("version = '1\"", "has to be compared with a number"),
        ("metrics.a > metrics.b", "not 'metrics.b'"),
        ("metrics.a > 1e400", "'1e400' is larger than any float"),
        ("metrics.a > " + "9" * 320, "is larger than any float"),
        ("metrics.a > 1.2.3", "not '1.2.3'"),
        ("metrics.a > nan", "not 'nan'"),
        ("metrics.a > " + "9" * 5000, "has to be compared with a number"),
        ("metrics.a LIKE '1'", "cannot be compared with LIKE; use one of =, !=, <, <=, >, >="),
        ("metrics.a IS NULL", "cannot be compared with IS NULL"),
        ("params.a = 1", "has to be compared with a text in quotes, not '1'"),
        ("params.a = `x`", "not '`x`'"),
        ("params.a = 'x", 'not "\'x"'),
        ("params.a > 'x'", "cannot be compared with >; use one of =, !=, LIKE, ILIKE, IS NULL, IS NOT NULL"),
        ("params.a IN ('x')", "cannot be compared with IN"),
        ("params.a RLIKE 'x'", "not 'RLIKE'"),
        ("run_id IN 'a'", "a list was expected"),
        ("run_id IN ()", "text in quotes, not ')'"),
        ("run_id IN ('a' 'b')", "',' or ')' was expected"),
        ("run_id IN ('a', 1)", "text in quotes, not '1)'"),
        ("status IS 'x'", "not 'IS'"),
        ("m.a > 1", "there are no 'm' to search by; keys begin with one of metrics, params"),
        ("statsu = 'x'", "there is no attribute 'statsu'; did you mean 'status'?"),
        ("dataset.nmae = 'x'", "there is no dataset 'nmae'; did you mean 'name'?"),
        ("'a' = 'b'", "a key was expected"),
        ("1 > metrics.a", "there is no attribute '1'"),
        ("metrics. > 1", "a key was expected, not '>'"),
        ("metrics. ", "a key was expected, not a space"),
        ("params.`` = 'x'", "a key was expected"),
        ("params.`a = 'x'", "a key was expected"),
        ("params.a = 'x\x00'", "NUL"),
        ("params.a = '" + "x" * LENGTH_LIMIT + "'", "characters and 200000 are allowed"),
        ("metrics.a > 1" + " AND metrics.a > 1" * CLAUSE_LIMIT, "more than 100 clauses"),
        ("run_id IN (" + "'a', " * (LIST_LIMIT + 1) + ")", "5001 values and 5000 are allowed"),
    ],
)
def test_a_filter_is_refused_with_the_part_that_is_wrong(text: str, part: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_filter(text, GRAMMAR)
    assert part in str(refusal.value)
    assert refusal.value.field == "filter"
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("metrics.auc", Order("metric", "auc")),
        ("metrics.auc DESC", Order("metric", "auc", is_descending=True)),
        (" params.`a b`  asc ", Order("param", "a b")),
        ("`tags.a b` desc", Order("tag", "a b", is_descending=True)),
        ("attributes.created DESC", Order("attribute", "start_time", is_descending=True)),
        ("run name", Order("attribute", "run_name")),
    ],
)
def test_an_order_is_read(text: str, order: Order) -> None:
    assert parse_order([text], GRAMMAR) == (order,)


@pytest.mark.parametrize(
    ("texts", "part"),
    [
        ([""], "a key was expected, not the end"),
        (["metrics.a UP"], "ASC or DESC was expected after 'metrics.a', not 'UP'"),
        (["metrics.a DESC, metrics.b"], "not 'DESC,'"),
        (["metrics.a ASC DESC"], "not 'DESC'"),
        (["dataset.name"], "nothing can be ordered by 'dataset.name'"),
        (["x"], "there is no attribute 'x'"),
        (["metrics.a", "metric.a DESC"], "twice"),
        ([f"metrics.m{number}" for number in range(21)], "21 keys and 20 are allowed"),
    ],
)
def test_an_order_is_refused_with_the_part_that_is_wrong(texts: list[str], part: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_order(texts, GRAMMAR)
    assert part in str(refusal.value)
    assert refusal.value.field == "order_by"


_CHARACTERS = st.characters(exclude_characters="\x00", exclude_categories=("Cs",))
_KEYS = st.text(_CHARACTERS, min_size=1, max_size=12).filter(lambda key: "`" not in key)
_TEXTS = st.text(_CHARACTERS, max_size=12)
_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def _clauses(draw: st.DrawFn) -> Clause:
    entity = draw(st.sampled_from(GRAMMAR.entities))
    key = draw(_KEYS if entity.any_key else st.sampled_from(sorted(entity.keys)))
    field = entity.any_key or entity.keys[key]
    comparator = draw(st.sampled_from(sorted(field.comparators)))
    value: Any = draw(_NUMBERS if field.is_number else _TEXTS)
    if comparator in NULLS:
        value = None
    elif comparator in LISTS:
        value = tuple(draw(st.lists(_TEXTS, min_size=1, max_size=3)))
    return Clause(entity.name, key, comparator, value)


def _write(clause: Clause) -> str:
    value = clause.value
    if value is None:
        right = ""
    elif isinstance(value, tuple):
        right = f"({', '.join(map(_quote, value))})"
    else:
        right = _quote(value) if isinstance(value, str) else repr(value)
    return f"{clause.entity}.`{clause.key}` {clause.comparator} {right}"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@given(st.lists(_clauses(), max_size=5))
def test_what_is_written_is_read_again(clauses: list[Clause]) -> None:
    assert parse_filter(" AND ".join(map(_write, clauses)), GRAMMAR) == tuple(clauses)


_SCRAPS = st.sampled_from(
    [
        "metrics.",
        "params",
        ".",
        "`",
        "'",
        '"',
        "(",
        ")",
        ",",
        " ",
        "\n",
        " AND ",
        " IN ",
        " IS NOT NULL",
        "=",
        "!=",
        "1",
        "a",
    ]
)


@given(st.text(max_size=60) | st.lists(_SCRAPS, max_size=25).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_filter, lambda text, grammar: parse_order([text], grammar)):
        try:
            parse(text, GRAMMAR)
        except InvalidInputError as refusal:
            assert str(refusal)


@pytest.mark.parametrize(
    "scrap", ["'", '"', "`", "(", " ", "a", ".", "9", "-", "''a", "IS ", "NOT ", "\n", "=", "AND "]
)
@pytest.mark.parametrize(
    "start", ["", "metrics.a > ", "params.a = '", "run_id IN ('", "params.`", "tags.a IS ", "run_id NOT "]
)
def test_no_text_takes_longer_than_its_length_explains(start: str, scrap: str) -> None:
    text = (start + scrap * LENGTH_LIMIT)[:LENGTH_LIMIT]
    try:
        parse_filter(text, GRAMMAR)
    except InvalidInputError as refusal:
        assert str(refusal)

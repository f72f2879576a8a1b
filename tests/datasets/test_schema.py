"""What changed between two schemas, and whether it hurts whoever reads."""

import polars as pl

from penstock.datasets.schema import breaks_readers, compare_schemas, infer_schema


def test_changes_are_named_and_told_apart() -> None:
    before = infer_schema(pl.DataFrame({"a": [1], "b": ["x"], "c": [1.0], "d": pl.Series([None], dtype=pl.String)}))
    after = infer_schema(pl.DataFrame({"a": [1.5], "b": [2], "d": [3], "e": [True]}))
    changes = compare_schemas(before, after)
    assert [(str(change), breaks_readers(change)) for change in changes] == [
        ("a was integer and is number", False),
        ("b was text and is integer", True),
        ("c (number) was removed", True),
        ("e (boolean) was added", False),
    ]
    assert compare_schemas(before, before) == []


def test_a_narrower_type_is_the_same_kind() -> None:
    wide, narrow = pl.DataFrame({"a": [1]}), pl.DataFrame({"a": pl.Series([1], dtype=pl.Int8)})
    assert compare_schemas(infer_schema(wide), infer_schema(narrow)) == []

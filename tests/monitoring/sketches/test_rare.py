import polars as pl

from penstock.monitoring.sketches import encode_sketch, forget_rare, sketch_frame


def test_neither_texts_nor_items_of_lists_of_few_rows_are_named() -> None:
    rows = pl.DataFrame(
        {
            "plan": ["free"] * 40 + ["Ada Lovelace"],
            "basket": [["tea", "milk"]] * 40 + [["a letter to Ada"]],
            "note": ["fine today"] * 40 + ["Ada is ill"],
        }
    )
    whole = sketch_frame(rows)
    assert encode_sketch(whole).count(b"Ada") >= 3
    known = forget_rare(whole)
    kept = encode_sketch(known)
    assert b"Ada" not in kept
    assert all(text in kept for text in (b"free", b"tea", b"milk", b"fine today"))
    lists = known.columns["basket"].lists
    assert lists is not None and lists.items is not None and lists.items.rows == 81
    assert [known.columns[name].rows for name in rows.columns] == [41, 41, 41]

"""The ranking model: what it suggests, and that it comes back from disk as it was."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.registry.format.ranking import RankingModel

ITEMS = ["cup", "pot", "tea", "jam"]


def make_model(**changes: object) -> RankingModel:
    settings: dict[str, object] = {
        "prior": [0.4, 0.3, 0.2, 0.1],
        "repeat": 0.5,
        "neighbours": [[2, 1], [0, 2], [0, 3], [2, 0]],
        "weights": [[1.0, 0.5], [0.2, 0.0], [0.3, 0.7], [0.0, 0.0]],
        "decay": 0.5,
    }
    return RankingModel(ITEMS, **(settings | changes))  # type: ignore[arg-type]


def test_a_stranger_gets_the_list_by_prior() -> None:
    assert make_model().suggest([])[0] == ITEMS
    assert make_model().suggest(["spoon", "fork"])[0] == ITEMS


def test_the_newest_item_counts_most_and_itself_counts_as_a_repeat() -> None:
    scores = make_model().score(["cup", "spoon", "tea"])
    expected = [0.4 + 0.5 + 0.25 * 0.3, 0.3 + 0.5, 0.2 + 1.0 + 0.25 * 0.5, 0.1 + 0.25 * 0.7]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_no_more_items_are_suggested_than_the_depth() -> None:
    items, scores = make_model(depth=2).suggest(["cup"])
    assert items == ["tea", "cup"]
    assert scores == sorted(scores, reverse=True)


def test_of_equal_scores_the_earlier_item_leads() -> None:
    assert RankingModel(ITEMS, prior=[1, 2, 1, 1], depth=3).suggest([])[0] == ["pot", "cup", "tea"]


def test_a_frame_gets_a_list_per_row_and_null_counts_as_empty() -> None:
    frame = pl.DataFrame({"user": ["a", "b", "c"], "recent": ["tea cup", None, ""]})
    answer = make_model().predict(frame)
    assert answer["items"].to_list()[1:] == [ITEMS, ITEMS]
    assert answer["items"][0].to_list() == make_model().suggest(["tea", "cup"])[0]
    assert make_model().predict(frame.clear()).schema == answer.schema


@given(st.lists(st.lists(st.sampled_from([*ITEMS, "spoon"]), max_size=12), max_size=5))
def test_a_row_gets_the_same_list_alone_and_in_company(rows: list[list[str]]) -> None:
    model = make_model()
    together = model.predict(pl.DataFrame({"recent": [" ".join(row) for row in rows]}, schema={"recent": pl.String}))
    assert together["items"].to_list() == [model.suggest(row)[0] for row in rows]


def test_a_model_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    make_model(inputs=["user", "recent", "aisle"]).save(tmp_path)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    again = RankingModel.load(tmp_path)
    assert again.inputs == ("user", "recent", "aisle")
    assert again.suggest(["jam", "tea"]) == make_model().suggest(["jam", "tea"])
    again.save(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    make_model().save(tmp_path)
    arrays = tmp_path / "ranking.npz"
    arrays.write_bytes(arrays.read_bytes()[:-40])
    with pytest.raises(CorruptDataError, match="cannot be read"):
        RankingModel.load(tmp_path)


def test_arrays_of_objects_are_never_loaded(tmp_path: Path) -> None:
    make_model().save(tmp_path)
    arrays = {name: getattr(make_model(), name) for name in ("prior", "repeat", "neighbours", "weights")}
    np.savez(tmp_path / "ranking.npz", items=np.array([{}, {}, {}, {}], dtype=object), **arrays)
    with pytest.raises(CorruptDataError, match="cannot be read"):
        RankingModel.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prior": [1.0]}, "prior has shape"),
        ({"prior": [1.0, np.nan, 1.0, 1.0]}, "NaN"),
        ({"neighbours": [[4, 0]] * 4}, "outside the 4 items"),
        ({"weights": [[1.0]] * 4}, "weights has shape"),
        ({"decay": 0.0}, "decay of 0.0"),
        ({"depth": 0}, "suggests nothing"),
        ({"inputs": ["user"]}, "needs the input 'recent'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        make_model(**changes)


def test_an_item_with_a_space_in_it_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="without any"):
        RankingModel(["red cup"], prior=[1.0])
    with pytest.raises(InvalidInputError, match="twice"):
        RankingModel(["cup", "cup"], prior=[1.0, 1.0])


TABLE = pl.DataFrame({"item": ITEMS, "price": [3, 9, 4, None], "new": [True, False, True, False]})


def test_a_table_of_items_comes_back_and_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_model(attributes=TABLE).save(tmp_path / name)
    assert (tmp_path / "a" / "items.parquet").read_bytes() == (tmp_path / "b" / "items.parquet").read_bytes()
    again = RankingModel.load(tmp_path / "a")
    assert again.attributes is not None and again.attributes.equals(TABLE)
    (tmp_path / "a" / "items.parquet").write_bytes(b"nothing")
    with pytest.raises(CorruptDataError, match="table of items"):
        RankingModel.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (TABLE.drop("item"), "needs a column 'item'"),
        (TABLE.with_columns(item=pl.lit(1)), "needs a column 'item'"),
        (TABLE.with_columns(item=pl.lit("spoon")), "'spoon' stands in the table of items, and is no item"),
        (pl.concat([TABLE, TABLE]), "twice in the table"),
        (TABLE.with_columns(tags=pl.lit([["a"]])), "column 'tags' of the table of items holds"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(table: pl.DataFrame, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        make_model(attributes=table)

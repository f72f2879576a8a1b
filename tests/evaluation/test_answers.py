import datetime as dt

import numpy as np
import polars as pl
import pytest

from penstock.core.errors import InvalidInputError
from penstock.evaluation.answers import find_classes, labelled, read_outputs, read_truth
from penstock.evaluation.evaluate import digest_rows


def test_of_two_classes_the_last_is_the_positive_one() -> None:
    assert find_classes("binary", pl.Series(["yes", "no", None])) == ("no", "yes")
    assert find_classes("binary", pl.Series([True, False])) == (False, True)
    assert find_classes("binary", pl.Series(["low", "high"]), known=["low", "high"]) == ("low", "high")
    assert find_classes("regression", pl.Series([1.5])) == ()


def test_rows_of_one_class_are_still_a_binary_task_where_the_other_is_plain() -> None:
    assert find_classes("binary", pl.Series([1, 1])) == (0, 1)
    assert find_classes("binary", pl.Series([False])) == (0, 1)
    with pytest.raises(InvalidInputError, match="name both in 'classes'"):
        find_classes("binary", pl.Series(["yes"]))


def test_three_classes_are_no_binary_task() -> None:
    with pytest.raises(InvalidInputError, match="set task to 'multiclass'"):
        find_classes("binary", pl.Series(["a", "b", "c"]))


def test_labels_and_predictions_of_different_kinds_are_refused_rather_than_called_wrong() -> None:
    with pytest.raises(InvalidInputError, match="different kinds"):
        find_classes("multiclass", pl.Series("label", [0, 1]), pl.Series("prediction", ["0", "1"]))


def test_a_class_that_the_model_never_saw_has_no_chance() -> None:
    labels = pl.Series(["a", "b", "z"])
    classes = find_classes("multiclass", labels, known=["a", "b"])
    truth = read_truth("multiclass", labels, classes)
    given = pl.DataFrame({"prediction": ["a", "b", "a"], "probabilities": [[0.7, 0.3]] * 3})
    outputs = read_outputs("multiclass", given, truth, classes)
    assert truth.tolist() == [0, 1, 2]
    assert outputs["probabilities"][2].tolist() == [0.7, 0.3, 0.0]


def test_a_row_without_a_prediction_is_an_error_that_names_it() -> None:
    truth = np.array([0, 1, 1])
    given = pl.DataFrame({"prediction": [0, 1, 1], "score": [0.5, None, float("nan")]})
    with pytest.raises(InvalidInputError, match="'score' holds no usable value in 2 of 3 rows, first in row 1"):
        read_outputs("binary", given, truth, (0, 1))
    with pytest.raises(InvalidInputError, match="first in row 0"):
        read_outputs("ranking", pl.DataFrame({"items": [None, ["a"]]}), [["a"], []], ())


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(InvalidInputError, match="no column 'items'; they have prediction"):
        read_outputs("ranking", pl.DataFrame({"prediction": [1]}), [["a"]], ())


def test_a_label_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="where lists are needed"):
        read_truth("ranking", pl.Series(["a b"]), ())
    with pytest.raises(InvalidInputError, match="where numbers are needed"):
        read_truth("regression", pl.Series("y", ["1.5"]), ())


def test_the_wrong_number_of_probabilities_is_refused() -> None:
    given = pl.DataFrame({"prediction": [0, 1], "probabilities": [[0.2, 0.3, 0.5]] * 2})
    with pytest.raises(InvalidInputError, match="3 probabilities a row, for 2 classes"):
        read_outputs("multiclass", given, np.array([0, 1]), (0, 1))


def test_nan_is_no_label() -> None:
    assert labelled(pl.Series([1.0, None, float("nan")])).to_list() == [True, False, False]
    assert labelled(pl.Series([["a"], [], None])).to_list() == [True, True, False]


def test_rows_have_one_digest_whatever_their_layout() -> None:
    frame = pl.DataFrame(
        {
            "at": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 3,
            "day": [dt.date(2026, 1, 2)] * 3,
            "items": [["a"], [], ["b", "c"]],
            "number": [1.5, None, float("inf")],
            "kind": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        }
    )
    in_pieces = pl.concat([frame[:1], frame[1:]], rechunk=False).select(reversed(frame.columns))
    assert digest_rows(frame) == digest_rows(in_pieces)
    assert digest_rows(frame) != digest_rows(frame.reverse())

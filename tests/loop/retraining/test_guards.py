import numpy as np

from penstock.loop.retraining.guards import find_copies, find_missing, lacks_classes


def test_rows_without_a_class_that_there_was_are_not_learned_from() -> None:
    codes = np.repeat([0, 1, 0], [300, 300, 400])
    assert lacks_classes(codes, codes[600:])
    assert not lacks_classes(codes, codes[400:])


def test_a_class_that_was_always_rare_is_asked_for_no_more_than_there_ever_was() -> None:
    codes = np.repeat([1, 0], [30, 970])
    assert not lacks_classes(codes, codes)
    assert lacks_classes(codes, codes[10:])


def test_a_column_that_goes_missing_at_once_is_named() -> None:
    before, now = np.zeros((100, 2), dtype=bool), np.zeros((100, 2), dtype=bool)
    assert find_missing(before, now, ("age", "pay")) == ""
    now[:80, 1] = True
    assert find_missing(before, now, ("age", "pay")) == "pay is missing in 80% more of the rows than before"
    assert find_missing(now, now, ("age", "pay")) == ""


def test_one_row_over_and_over_is_no_stretch_to_learn_from() -> None:
    before = np.random.default_rng(0).random((200, 3))
    now = before[:100].copy()
    assert find_copies(before, now) == ""
    now[:70] = now[0]
    assert find_copies(before, now) == "70% of the rows are one and the same"
    assert find_copies(np.tile(now[0], (200, 1)), now) == ""
    assert find_copies(before, now[:20]) == ""

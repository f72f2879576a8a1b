import numpy as np
import pytest

from penstock.core.errors import CorruptDataError
from penstock.evaluation.scores import Scores, pack_scores, unpack_scores


def test_scores_come_back_as_they_were_and_equal_ones_are_equal_bytes() -> None:
    terms = {"recall_at_20": np.array([[0.1], [np.nan]]), "f1": np.eye(2)}
    scores = Scores(terms, np.array([0, 1]))
    back = unpack_scores(pack_scores(scores))
    assert np.array_equal(back.terms["recall_at_20"], terms["recall_at_20"], equal_nan=True)
    assert back.clusters is not None
    assert back.clusters.tolist() == [0, 1]
    assert pack_scores(scores) == pack_scores(Scores(dict(reversed(terms.items())), np.array([0, 1])))
    assert unpack_scores(pack_scores(Scores(terms))).clusters is None


@pytest.mark.parametrize("data", [b"", b"nonsense", b"PK\x03\x04broken"])
def test_other_bytes_are_called_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptDataError):
        unpack_scores(data)

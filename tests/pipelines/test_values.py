"""Results of steps: what goes into the object store comes out again."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from polars.testing import assert_frame_equal, assert_series_equal
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.pipelines.values.stored import load_value, store_value
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store


class Score(Struct, frozen=True):
    name: str
    value: float


class Saved:
    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, folder: Path) -> None:
        (folder / "text").write_text(self.text)

    @classmethod
    def load(cls, folder: Path) -> "Saved":
        return cls((folder / "text").read_text())


class NotKept:
    pass


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


def there_and_back(value: Any, objects: ObjectStore) -> Any:
    return load_value(store_value(value, objects, where="step 'x' returned"), objects)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(plain)
def test_plain_values_come_back_as_they_were(objects: ObjectStore, value: Any) -> None:
    again = there_and_back(value, objects)
    assert again == value
    assert type(again) is type(value)


def test_nan_stays_nan(objects: ObjectStore) -> None:
    assert math.isnan(there_and_back(math.nan, objects))
    assert there_and_back({"loss": math.inf}, objects) == {"loss": math.inf}


def test_a_frame_keeps_its_types(objects: ObjectStore) -> None:
    frame = pl.DataFrame(
        {
            "day": pl.Series(["2026-01-01", None]).str.to_datetime(time_zone="UTC"),
            "items": [["a", "b"], []],
            "kind": pl.Series(["x", "y"], dtype=pl.Categorical),
            "small": pl.Series([1, 2], dtype=pl.Int8),
            "nothing": pl.Series([None, None], dtype=pl.Float32),
        }
    )
    assert_frame_equal(there_and_back(frame, objects), frame)
    assert_frame_equal(there_and_back(frame.clear(), objects), frame.clear())
    assert_series_equal(there_and_back(frame["small"], objects), frame["small"])


def test_equal_frames_are_one_object(objects: ObjectStore) -> None:
    whole = pl.DataFrame({"a": range(1000)})
    joined = pl.concat([whole[:300], whole[300:]], rechunk=False)
    first, second = (store_value(frame, objects, where="") for frame in (whole, joined))
    assert first.identity == second.identity


@pytest.mark.parametrize("value", [np.arange(6).reshape(2, 3), np.array(["a", "bc"]), np.float32(1.5), np.array([])])
def test_an_array_comes_back(objects: ObjectStore, value: Any) -> None:
    again = there_and_back(value, objects)
    np.testing.assert_array_equal(again, value)
    assert again.dtype == value.dtype


def test_a_record_comes_back(objects: ObjectStore) -> None:
    assert there_and_back({"best": Score("auc", math.inf)}, objects) == {"best": Score("auc", math.inf)}


@pytest.mark.parametrize("make", [LogisticRegression, HistGradientBoostingClassifier])
def test_an_estimator_predicts_as_before(objects: ObjectStore, make: Callable[[], Any]) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    model = make_pipeline(StandardScaler(), make()).fit(rows, rows[:, 0] > 0)
    np.testing.assert_array_equal(there_and_back(model, objects).predict_proba(rows), model.predict_proba(rows))


def test_an_object_that_writes_itself_into_a_folder_comes_back(objects: ObjectStore) -> None:
    assert there_and_back([Saved("hello")], objects)[0].text == "hello"
    assert len({store_value(Saved("a"), objects, where="").identity for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (NotKept(), r"step 'x' returned a value of type .*NotKept, which cannot be kept"),
        ({"deep": [NotKept()]}, "step 'x' returned under 'deep' at place 0 a value of type"),
        (pl.LazyFrame(), r"return frame.collect\(\)"),
        (pl.DataFrame({"a": [NotKept()]}), r"columns \['a'\] hold Python objects"),
        (np.array([None]), "an array of Python objects"),
        ({1: NotKept()}, "keys that are no texts"),
        (
            FunctionTransformer(test_nan_stays_nan),
            "step 'x' returned a sklearn.* that cannot be kept: this model holds",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_step_and_type(objects: ObjectStore, value: Any, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        store_value(value, objects, where="step 'x' returned")


def test_a_record_whose_class_is_gone_says_so(objects: ObjectStore) -> None:
    class Local(Struct):
        value: int

    with pytest.raises(InvalidInputError, match="move it to the top of a module"):
        store_value(Local(1), objects, where="step 'x' returned")
    stored = store_value(Score("a", 1.0), objects, where="")
    gone = type(stored)(kind="record", digest=stored.digest, type="no.such:Thing")
    with pytest.raises(CorruptDataError, match="is gone; run its step again"):
        load_value(gone, objects)

"""The fast form: used only where it answers as the model does, small in memory, never the cause of a failed save."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from penstock.core.errors import CorruptDataError
from penstock.registry.format.fast import making
from penstock.registry.format.fast.limit import LimitError, run_limited
from penstock.registry.format.loaded import check_golden, load_model
from penstock.registry.format.saving import save_model
from penstock.registry.format.types import FastForm
from registry.format.rows import AMOUNT, BINARY, CLASSES, COUNT, MIXED, NUMBERS, WHOLE


def _save(model: Any, folder: Path, task: Any, sample: pl.DataFrame) -> FastForm:
    form = save_model(model, folder, task=task, sample=sample).fast_form
    assert form is not None
    check_golden(load_model(folder))
    return form


def test_a_model_is_loaded_in_its_fast_form_and_says_so(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(WHOLE, BINARY)
    form = _save(model, tmp_path / "model", "binary", WHOLE)
    loaded = load_model(tmp_path / "model")
    assert loaded.is_fast and form.used and form.rows == COUNT and 0 < form.max_difference < 1e-6
    assert form.describe() == f"ONNX: {COUNT} rows, greatest difference {form.max_difference:.1e}"
    answer = loaded.predict_arrays(WHOLE.to_numpy())
    assert {name: (values.shape, values.dtype) for name, values in answer.items()} == {
        "prediction": ((COUNT,), np.int64),
        "score": ((COUNT,), np.float64),
    }
    assert answer["score"] == pytest.approx(model.predict_proba(WHOLE)[:, 1], abs=1e-6)
    held = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())["flavors"]["penstock"]["fast_form"]
    assert held["used"] and held["file"] == "penstock/fast.onnx" and held["rows"] == COUNT and held["opset"] > 0


def test_several_classes_give_a_matrix_of_probabilities(tmp_path: Path) -> None:
    model = RandomForestClassifier(9, random_state=0).fit(WHOLE.to_numpy(), CLASSES)
    _save(model, tmp_path / "model", "multiclass", WHOLE)
    loaded = load_model(tmp_path / "model")
    answer = loaded.predict_arrays(WHOLE.to_numpy().astype(np.float32))
    assert loaded.is_fast and answer["probabilities"].shape == (COUNT, 3)
    assert answer["prediction"].tolist() == model.predict(WHOLE.to_numpy()).tolist()


def test_text_goes_through_the_fast_form_where_its_encoder_does(tmp_path: Path) -> None:
    columns = ColumnTransformer(
        [("n", StandardScaler(), ["age", "score"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(MIXED, BINARY)
    form = _save(model, tmp_path / "model", "binary", MIXED)
    loaded = load_model(tmp_path / "model")
    assert loaded.is_fast and form.rows > COUNT and not loaded.takes_arrays
    asked = MIXED.head(3).with_columns(city=pl.Series(["Bern", "Geneva", "Chur"]))
    assert loaded.predict(asked)["score"].to_list() == pytest.approx(
        model.predict_proba(asked)[:, 1].tolist(), abs=1e-6
    )


@pytest.mark.parametrize("bounds", [{"min_frequency": 12}, {"max_categories": 2, "dtype": np.int64}, {}])
def test_a_category_nobody_has_seen_counts_with_the_rare_ones(tmp_path: Path, bounds: dict[str, Any]) -> None:
    chance = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "city": chance.choice(["Bern", "Chur", "Zug", "Genf", "Sion"], 400, p=[0.5, 0.3, 0.16, 0.02, 0.02]),
            "floor": chance.integers(0, 40, 400),
            "age": chance.normal(size=400),
        }
    )
    target = ((rows["city"] == "Bern") | (rows["floor"] > 30)).cast(int)
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", **bounds)
    columns = ColumnTransformer([("c", encoder, ["city", "floor"])], remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(rows, target)
    form = _save(model, tmp_path / "model", "binary", rows)
    assert form.used, form.reason
    asked = rows.head(6).with_columns(city=pl.Series(["Bern", "Sion", "Oslo", "", "Zug", "bern"]), floor=pl.lit(99))
    answered = load_model(tmp_path / "model").predict(asked)["score"].to_list()
    assert answered == pytest.approx(model.predict_proba(asked)[:, 1].tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, drop="first"), "drops categories"),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=COUNT), "all rare"),
    ],
)
def test_an_encoder_that_has_no_such_form_is_refused_with_the_reason(
    tmp_path: Path, encoder: OneHotEncoder, reason: str
) -> None:
    model = make_pipeline(ColumnTransformer([("c", encoder, ["city"])]), LogisticRegression()).fit(MIXED, BINARY)
    assert reason in _save(model, tmp_path / "model", "binary", MIXED).reason


def test_columns_picked_by_name_come_out_of_one_matrix(tmp_path: Path) -> None:
    columns = ColumnTransformer([("s", StandardScaler(), ["score"]), ("i", SimpleImputer(), ["income"])])
    model = make_pipeline(columns, LogisticRegression()).fit(NUMBERS, BINARY)
    _save(model, tmp_path / "model", "binary", NUMBERS)
    loaded = load_model(tmp_path / "model")
    assert loaded.is_fast
    score = loaded.predict_arrays(NUMBERS.to_numpy())["score"]
    assert score == pytest.approx(model.predict_proba(NUMBERS)[:, 1], abs=1e-6)


CATEGORIES = NUMBERS.with_columns(kind=pl.Series(np.arange(COUNT) % 5))


@pytest.mark.parametrize("inside", [False, True])
def test_native_categories_are_refused_by_name(inside: bool, tmp_path: Path) -> None:
    model: Any = HistGradientBoostingClassifier(max_iter=5, categorical_features=[3])
    if inside:
        model = CalibratedClassifierCV(make_pipeline("passthrough", model), cv=2)
    form = _save(model.fit(CATEGORIES.to_numpy(), BINARY), tmp_path / "model", "binary", CATEGORIES)
    reason = "HistGradientBoostingClassifier with native categoricals converts silently wrong"
    assert form.describe() == f"as it is: {reason}"
    assert not load_model(tmp_path / "model").is_fast and not (tmp_path / "model" / making.FILE).exists()


def test_what_would_convert_native_categories_silently_wrong_is_also_caught_by_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "find_refusal", lambda model: "")
    target = (CATEGORIES["kind"].to_numpy() % 2).astype(int)
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features=["kind"]).fit(CATEGORIES, target)
    form = _save(model, tmp_path / "model", "binary", CATEGORIES)
    assert not form.used and "other probabilities" in form.reason and form.max_difference > 0.1


def test_an_encoder_that_refuses_what_it_has_not_seen_stays_as_it_is(tmp_path: Path) -> None:
    columns = ColumnTransformer([("c", OneHotEncoder(), ["city"])])
    form = _save(make_pipeline(columns, LogisticRegression()).fit(MIXED, BINARY), tmp_path / "m", "binary", MIXED)
    assert not form.used and "handle_unknown='error'" in form.reason


def test_a_threshold_of_its_own_stays_as_it_is(tmp_path: Path) -> None:
    model = FixedThresholdClassifier(LogisticRegression(max_iter=500), threshold=0.9).fit(WHOLE, BINARY)
    form = _save(model, tmp_path / "model", "binary", WHOLE)
    assert not form.used and "threshold" in form.reason


def test_numbers_that_single_precision_cannot_tell_apart_are_counted_and_refused(tmp_path: Path) -> None:
    large = pl.DataFrame({"account": 1e9 + np.arange(COUNT), "score": NUMBERS["score"]})
    for name, model in {
        "sklearn": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1),
    }.items():
        form = _save(model.fit(large.to_numpy(), np.arange(COUNT) // 7 % 2), tmp_path / name, "binary", large)
        assert not form.used and form.max_difference > 0.01
        assert f"of {COUNT} rows get other probabilities" in form.reason


def test_a_regression_is_compared_in_units_of_its_spread(tmp_path: Path) -> None:
    far = LinearRegression().fit(WHOLE.to_numpy(), AMOUNT + 1e8)
    form = _save(far, tmp_path / "far", "regression", WHOLE)
    assert not form.used and "other predictions" in form.reason
    near = LinearRegression().fit(WHOLE.to_numpy(), AMOUNT)
    form = _save(near, tmp_path / "near", "regression", WHOLE)
    assert form.used and form.tolerance == pytest.approx(AMOUNT.std() * 1e-4, rel=0.1)


def test_rows_with_missing_values_are_compared_too(tmp_path: Path) -> None:
    model = HistGradientBoostingRegressor(max_iter=5).fit(NUMBERS, AMOUNT)
    form = _save(model, tmp_path / "model", "regression", NUMBERS)
    assert form.used and form.rows == COUNT + 100
    gone = NUMBERS.with_columns(income=pl.lit(np.nan)).to_numpy()
    loaded = load_model(tmp_path / "model")
    assert loaded.predict_arrays(gone)["prediction"] == pytest.approx(
        model.predict(pl.DataFrame(gone, NUMBERS.columns)), abs=1e-3
    )


def test_what_has_no_converter_stays_as_it_is(tmp_path: Path) -> None:
    form = _save(LabelSpreading().fit(WHOLE.to_numpy(), BINARY), tmp_path / "model", "binary", WHOLE)
    assert not form.used and "cannot be converted" in form.reason and len(form.reason) <= 400


def test_a_missing_extra_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_is_installed", lambda name: name != "skl2onnx")
    form = _save(LogisticRegression(max_iter=500).fit(WHOLE, BINARY), tmp_path / "model", "binary", WHOLE)
    assert form.describe() == "as it is: skl2onnx is not installed; pip install 'penstock[onnx]'"


def test_a_conversion_that_takes_too_long_is_ended_and_the_model_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "LIMIT_S", 0.2)
    monkeypatch.setattr(making, "convert_estimator", lambda *args, **options: _count_forever())
    form = _save(LogisticRegression(max_iter=500).fit(WHOLE, BINARY), tmp_path / "model", "binary", WHOLE)
    assert form.reason == "it cannot be converted to ONNX: it took longer than 0 s"
    assert not any(thread.name == "limited" for thread in threading.enumerate())


def _count_forever() -> bytes:
    while True:
        try:
            time.sleep(0.001)
        except Exception:
            continue


def test_an_error_in_a_conversion_is_its_reason() -> None:
    with pytest.raises(LimitError, match="ZeroDivisionError: "):
        run_limited(lambda: bytes([1 // 0]), 5)
    assert run_limited(lambda: b"done", 5) == b"done"


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boosted") / "model"
    assert _save(HistGradientBoostingClassifier(max_iter=20).fit(NUMBERS, BINARY), folder, "binary", NUMBERS).used
    return folder


def test_every_changed_byte_of_the_fast_form_is_found(boosted: Path) -> None:
    path = boosted / making.FILE
    whole = path.read_bytes()
    try:
        for place in range(0, len(whole), len(whole) // 40):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            with pytest.raises(CorruptDataError, match="was altered"):
                load_model(boosted)
    finally:
        path.write_bytes(whole)
    check_golden(load_model(boosted))


def test_a_fast_form_that_answers_otherwise_is_found_by_the_golden_rows(boosted: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    _save(HistGradientBoostingClassifier(max_iter=3).fit(NUMBERS, BINARY), other, "binary", NUMBERS)
    described = yaml.safe_load((other / "MLmodel").read_text())
    form = yaml.safe_load((boosted / "MLmodel").read_text())["flavors"]["penstock"]["fast_form"]
    described["flavors"]["penstock"]["fast_form"] = form
    (other / "MLmodel").write_text(yaml.safe_dump(described))
    (other / making.FILE).write_bytes((boosted / making.FILE).read_bytes())
    with pytest.raises(CorruptDataError, match=r"row \d+ has"):
        check_golden(load_model(other))
    check_golden(load_model(other, fast=False))


_ALONE = """
import json, sys
import numpy, psutil
from pathlib import Path
from penstock.registry.format.loaded import check_golden, load_model
model = load_model(Path(sys.argv[1]))
check_golden(model)
answer = model.predict_arrays(numpy.zeros((64, 3)))
heavy = sorted({"sklearn", "skops", "scipy", "polars", "pandas", "onnx", "skl2onnx", "lightgbm"} & set(sys.modules))
print(json.dumps([len(answer["score"]), heavy, psutil.Process().memory_info().rss]))
"""


def test_a_worker_loads_the_fast_form_without_the_libraries_it_was_made_with(boosted: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(boosted)], capture_output=True, text=True, check=True, timeout=120
    )
    answered, heavy, memory = json.loads(done.stdout)
    assert answered == 64 and heavy == [] and memory < 150_000_000


def test_without_onnxruntime_the_model_runs_as_it_is(
    boosted: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("penstock.registry.format.onnx_session", "penstock.registry.format.onnx_predictor"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    loaded = load_model(boosted)
    assert not loaded.is_fast and "penstock[onnx]" in caplog.text
    check_golden(loaded)


MODELS: dict[str, Any] = {
    "logistic": lambda: LogisticRegression(max_iter=300),
    "tree": lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
    "forest": lambda: RandomForestClassifier(6, max_depth=4, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=4),
    "bayes": GaussianNB,
    "neighbours": lambda: KNeighborsClassifier(3),
    "network": lambda: MLPClassifier((4,), max_iter=2000, random_state=0, tol=1e-2),
    "margin": lambda: CalibratedClassifierCV(LinearSVC(), cv=2),
    "ridge": Ridge,
    "trees": lambda: RandomForestRegressor(5, random_state=0),
}
STEPS: dict[str, Any] = {
    "scale": StandardScaler,
    "range": MinMaxScaler,
    "bins": lambda: KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    "fill": lambda: SimpleImputer(strategy="median"),
}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(MODELS)),
    st.lists(st.sampled_from(sorted(STEPS)), max_size=2, unique=True),
    st.integers(2, 4),
    st.integers(-3, 7),
    st.integers(0, 2**16),
)
def test_any_small_pipeline_answers_alike_in_its_fast_form_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, steps: list[str], width: int, power: int, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(80, width)) * 10.0**power
    sample = pl.DataFrame(values, schema=[f"c{place}" for place in range(width)])
    target = values[:, 0] if name in ("ridge", "trees") else (values[:, 0] > np.median(values[:, 0])).astype(int)
    model = make_pipeline(*[STEPS[step]() for step in steps], MODELS[name]()).fit(values, target)
    folder = tmp_path_factory.mktemp("any") / "model"
    task: Any = "regression" if name in ("ridge", "trees") else "binary"
    form = _save(model, folder, task, sample)
    if not form.used:
        assert form.reason and not (folder / making.FILE).exists()
        return
    fast, slow = load_model(folder).predict_arrays(values), load_model(folder, fast=False).predict_arrays(values)
    column = "prediction" if task == "regression" else "score"
    assert np.abs(fast[column] - slow[column]).max() <= form.tolerance
    differ = fast["prediction"] != slow["prediction"]
    assert task == "regression" or (np.abs(slow["score"][differ] - 0.5) <= form.tolerance).all()


def test_ordinal_codes_of_unknown_text_agree(tmp_path: Path) -> None:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("c", encoder, ["city"]), ("n", "passthrough", ["age"])])
    model = make_pipeline(columns, DecisionTreeClassifier(max_depth=3)).fit(MIXED, BINARY)
    form = _save(model, tmp_path / "model", "binary", MIXED)
    asked = MIXED.with_columns(city=pl.lit("Geneva"))
    expected = model.predict_proba(asked)[:, 1].tolist()
    assert form.reason or load_model(tmp_path / "model").predict(asked)["score"].to_list() == pytest.approx(expected)


def test_numbers_beyond_single_precision_are_its_largest(tmp_path: Path) -> None:
    rows = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0] * 10, "b": [4.0, 1.0, 3.0, 2.0] * 10})
    save_model(LinearRegression().fit(rows, rows["a"].to_numpy()), tmp_path / "model", task="regression", sample=rows)
    loaded = load_model(tmp_path / "model")
    assert loaded.is_fast
    answers = loaded.predict_arrays(np.array([[1e308, -1e308], [np.finfo(np.float32).max, 0.0]]))["prediction"]
    assert not np.isnan(answers).any() and answers[0] > 1e38

"""Boosted trees of LightGBM and XGBoost, and ONNX models: a round trip, and what does not fit."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost
import yaml
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock.core.errors import InvalidInputError
from penstock.registry.format.loaded import check_golden, load_model
from penstock.registry.format.saving import save_model
from registry.format.rows import AMOUNT, BINARY, CLASSES, NUMBERS, WHOLE

X = NUMBERS.to_numpy()
CODES = np.unique(CLASSES, return_inverse=True)[1]


def _light(kind: Any, target: Any, **settings: Any) -> Any:
    return kind(n_estimators=8, verbose=-1, n_jobs=1, **settings).fit(X, target)


def _extreme(kind: Any, target: Any) -> Any:
    return kind(n_estimators=8, max_depth=3, n_jobs=1).fit(X, target)


CASES: dict[str, tuple[Any, Any, Any]] = {
    "lightgbm-binary": ("binary", lambda: _light(lightgbm.LGBMClassifier, BINARY), lambda m: m.predict_proba(X)[:, 1]),
    "lightgbm-text": ("multiclass", lambda: _light(lightgbm.LGBMClassifier, CLASSES), lambda m: m.predict_proba(X)),
    "lightgbm-number": ("regression", lambda: _light(lightgbm.LGBMRegressor, AMOUNT), lambda m: m.predict(X)),
    "lightgbm-booster": (
        "binary",
        lambda: _light(lightgbm.LGBMClassifier, BINARY).booster_,
        lambda m: m.predict(X),
    ),
    "lightgbm-linear": (
        "regression",
        lambda: lightgbm.LGBMRegressor(n_estimators=4, linear_tree=True, verbose=-1, n_jobs=1).fit(
            WHOLE.to_numpy(), AMOUNT
        ),
        lambda m: m.predict(X),
    ),
    "xgboost-binary": ("binary", lambda: _extreme(xgboost.XGBClassifier, BINARY), lambda m: m.predict_proba(X)[:, 1]),
    "xgboost-classes": ("multiclass", lambda: _extreme(xgboost.XGBClassifier, CODES), lambda m: m.predict_proba(X)),
    "xgboost-number": ("regression", lambda: _extreme(xgboost.XGBRegressor, AMOUNT), lambda m: m.predict(X)),
    "xgboost-booster": (
        "regression",
        lambda: _extreme(xgboost.XGBRegressor, AMOUNT).get_booster(),
        lambda m: m.inplace_predict(X),
    ),
    "xgboost-softmax": (
        "multiclass",
        lambda: xgboost.train(
            {"objective": "multi:softmax", "num_class": 3, "nthread": 1}, xgboost.DMatrix(X, CODES), 4
        ),
        lambda m: m.predict(xgboost.DMatrix(X), output_margin=True),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_booster_answers_alike_after_a_round_trip(name: str, tmp_path: Path) -> None:
    task, fit, ask = CASES[name]
    model = fit()
    info = save_model(model, tmp_path / "model", task=task, sample=NUMBERS)
    loaded = load_model(tmp_path / "model", fast=False)
    check_golden(loaded)
    answer = loaded.predict_arrays(X)
    column = {"binary": "score", "multiclass": "probabilities"}.get(task, "prediction")
    expected = ask(model)
    if name == "xgboost-softmax":
        expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    assert answer[column] == pytest.approx(expected, rel=1e-6)
    assert [c.required for c in info.signature.inputs] == [True, False, True]
    assert info.flavor == name.partition("-")[0]
    frame = loaded.predict(NUMBERS)
    assert frame[column].to_list() == answer[column].tolist()
    assert frame["prediction"].to_list() == answer["prediction"].tolist()


def test_labels_of_a_booster_are_those_it_was_fitted_on(tmp_path: Path) -> None:
    model = _light(lightgbm.LGBMClassifier, CLASSES)
    info = save_model(model, tmp_path / "model", task="multiclass", sample=NUMBERS)
    assert info.classes == ("high", "low", "middle")
    for fast in (True, False):
        answer = load_model(tmp_path / "model", fast=fast).predict(NUMBERS)
        assert answer["prediction"].to_list() == model.predict(X).tolist()


def test_an_estimator_that_stopped_early_stays_where_it_stopped(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=len(AMOUNT)) * 50
    light = lightgbm.LGBMRegressor(n_estimators=200, verbose=-1, n_jobs=1).fit(
        X[:200],
        (AMOUNT + noise)[:200],
        eval_X=X[200:],
        eval_y=AMOUNT[200:],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    )
    extreme = xgboost.XGBRegressor(n_estimators=200, early_stopping_rounds=3, n_jobs=1).fit(
        X[:200], (AMOUNT + noise)[:200], eval_set=[(X[200:], AMOUNT[200:])], verbose=False
    )
    assert light.best_iteration_ < 190 and extreme.best_iteration < 190
    for name, model in (("light", light), ("extreme", extreme)):
        save_model(model, tmp_path / name, task="regression", sample=NUMBERS)
        for fast in (False, True):
            answer = load_model(tmp_path / name, fast=fast).predict_arrays(X)["prediction"]
            assert answer == pytest.approx(model.predict(X), rel=1e-4)


def test_columns_are_found_by_name_whatever_their_order(tmp_path: Path) -> None:
    model = lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, AMOUNT, feature_name=["age", "in come", "score"]), 4)
    sample = NUMBERS.select("score", pl.col("income").alias("in come"), "age")
    info = save_model(model, tmp_path / "model", task="regression", sample=sample)
    assert [column.name for column in info.signature.inputs] == ["age", "in come", "score"]


@pytest.mark.parametrize(
    ("model", "task", "said"),
    [
        (lightgbm.LGBMClassifier(), "binary", "not fitted"),
        (xgboost.XGBClassifier(), "binary", "not fitted"),
        (_light(lightgbm.LGBMRegressor, AMOUNT), "binary", "predicts numbers"),
        (_extreme(xgboost.XGBClassifier, CODES), "binary", "3 classes"),
        (_light(lightgbm.LGBMClassifier, BINARY), "ranking", "'ranking'"),
        (xgboost.train({"objective": "binary:logitraw"}, xgboost.DMatrix(X, BINARY), 2), "binary", "binary:logistic"),
        (
            lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(
                NUMBERS.to_pandas().assign(kind=lambda f: (f.age > 40).astype("category")), BINARY
            ),
            "binary",
            "categories",
        ),
        (
            xgboost.train(
                {"max_depth": 2}, xgboost.DMatrix(X, AMOUNT, feature_types=["c", "q", "q"], enable_categorical=True), 2
            ),
            "regression",
            "categories",
        ),
    ],
)
def test_a_booster_that_cannot_serve_is_refused_with_the_reason(
    model: Any, task: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        save_model(model, tmp_path / "model", task=task, sample=NUMBERS)


def test_a_sample_with_other_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="3 columns without names"):
        save_model(_light(lightgbm.LGBMClassifier, BINARY), tmp_path / "m", task="binary", sample=NUMBERS.drop("age"))
    with pytest.raises(InvalidInputError, match="age: the model takes numbers") as refusal:
        texts = NUMBERS.with_columns(pl.col("age").cast(pl.String))
        save_model(_light(lightgbm.LGBMClassifier, BINARY), tmp_path / "m", task="binary", sample=texts)
    assert refusal.value.field == "age"


def test_the_signature_of_a_booster_is_enforced(tmp_path: Path) -> None:
    save_model(_extreme(xgboost.XGBClassifier, BINARY), tmp_path / "model", task="binary", sample=NUMBERS)
    loaded = load_model(tmp_path / "model")
    with pytest.raises(InvalidInputError, match=r"rows\[1\]\.age"):
        loaded.predict_arrays(np.array([[1.0, 2.0, 3.0], [np.nan, 2.0, 3.0]]))
    with pytest.raises(InvalidInputError, match=r"\(n, 3\)"):
        loaded.predict_arrays(np.zeros((2, 4)))
    with pytest.raises(InvalidInputError, match="'score' is missing"):
        loaded.predict(NUMBERS.drop("score"))
    assert len(loaded.predict_arrays(np.array([[1.0, np.nan, 3.0]]))["score"]) == 1


@pytest.mark.parametrize("zipmap", [True, False])
def test_an_onnx_model_is_saved_as_it_is(zipmap: bool, tmp_path: Path) -> None:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(WHOLE.to_numpy(), CLASSES)
    model = to_onnx(fitted, WHOLE.to_numpy()[:1].astype(np.float32), options={"zipmap": zipmap})
    info = save_model(model, tmp_path / "model", task="multiclass", sample=WHOLE)
    assert info.classes == ("high", "low", "middle")
    loaded = load_model(tmp_path / "model")
    check_golden(loaded)
    assert loaded.predict_arrays(WHOLE.to_numpy())["probabilities"] == pytest.approx(
        fitted.predict_proba(WHOLE.to_numpy()), abs=1e-5
    )
    described = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    assert described["flavors"]["onnx"]["data"] == "model.onnx"


def test_an_onnx_model_whose_outputs_are_no_probabilities_is_refused(tmp_path: Path) -> None:
    fitted = LinearRegression().fit(WHOLE.to_numpy(), AMOUNT)
    model = to_onnx(fitted, WHOLE.to_numpy()[:1].astype(np.float32))
    save_model(model, tmp_path / "number", task="regression", sample=WHOLE)
    with pytest.raises(InvalidInputError, match="no probabilities"):
        save_model(model, tmp_path / "model", task="binary", sample=WHOLE)
    with pytest.raises(InvalidInputError, match="3 columns and the sample has 2"):
        save_model(model, tmp_path / "model", task="regression", sample=WHOLE.drop("age"))


def test_a_module_of_pytorch_is_saved_as_onnx(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed; it is not among the extras")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    info = save_model(module, tmp_path / "model", task="binary", sample=WHOLE)
    assert info.flavor == "onnx"
    expected = module(torch.from_numpy(WHOLE.to_numpy().astype("float32"))).detach().numpy()[:, 0]
    assert load_model(tmp_path / "model").predict_arrays(WHOLE.to_numpy())["score"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_mlflow_finds_its_own_section(kind: str, tmp_path: Path) -> None:
    model = _light(lightgbm.LGBMClassifier, BINARY) if kind == "lightgbm" else _extreme(xgboost.XGBClassifier, BINARY)
    save_model(model, tmp_path / "model", task="binary", sample=NUMBERS)
    section = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())["flavors"][kind]
    assert (tmp_path / "model" / section["data"]).is_file()
    assert section["model_class"] == {"lightgbm": "lightgbm.basic.Booster", "xgboost": "xgboost.XGBClassifier"}[kind]

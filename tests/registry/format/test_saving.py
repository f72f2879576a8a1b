"""Model directories: every kind of model goes through a round trip, and nothing unsafe gets in or out."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
import yaml
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.registry.format.flavors.skops_file import is_trusted, write_estimator
from penstock.registry.format.loaded import check_golden, load_model
from penstock.registry.format.pyfunc import _load_pyfunc
from penstock.registry.format.ranking import RankingModel
from penstock.registry.format.saving import save_model

ROWS = 60
CHANCE = np.random.default_rng(7)
FRAME = pl.DataFrame(
    {
        "age": CHANCE.integers(18, 90, ROWS),
        "income": [None if place % 7 == 0 else float(place) for place in range(ROWS)],
        "city": [("Bern", "Basel", "Chur")[place % 3] for place in range(ROWS)],
        "score": CHANCE.normal(size=ROWS),
    }
)
CHURNED = np.array([place % 2 == 0 for place in range(ROWS)])
NUMBERS = ["age", "score"]


def _encoded(unknown: str = "ignore") -> Any:
    columns = ColumnTransformer(
        [("n", StandardScaler(), NUMBERS), ("c", OneHotEncoder(handle_unknown=unknown), ["city"])]
    )
    return make_pipeline(columns, LogisticRegression())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.fixture
def saved(folder: Path) -> Path:
    save_model(_encoded().fit(FRAME, CHURNED), folder, task="binary", sample=FRAME)
    return folder


def test_a_pipeline_with_encoders_answers_alike_after_a_round_trip(folder: Path) -> None:
    model = _encoded().fit(FRAME, CHURNED)
    save_model(model, folder, task="binary", sample=FRAME)
    answer = load_model(folder).predict(FRAME)
    assert answer.schema == {"prediction": pl.Boolean, "score": pl.Float64}
    assert answer["score"].to_list() == pytest.approx(model.predict_proba(FRAME)[:, 1].tolist(), abs=1e-5)
    assert answer["prediction"].to_list() == model.predict(FRAME).tolist()
    exact = load_model(folder, fast=False).predict(FRAME)
    assert exact["score"].to_list() == model.predict_proba(FRAME)[:, 1].tolist()


def test_boosted_trees_take_missing_values(folder: Path) -> None:
    features = FRAME.select("age", "income")
    model = HistGradientBoostingClassifier(max_iter=5).fit(features, np.where(CHURNED, "yes", "no"))
    save_model(model, folder, task="binary", sample=features)
    loaded = load_model(folder, fast=False)
    assert loaded.classes == ("no", "yes")
    assert loaded.predict(pl.DataFrame({"age": [40]}))["prediction"][0] in loaded.classes
    assert loaded.predict(features)["score"].to_list() == model.predict_proba(features)[:, 1].tolist()


def test_a_model_with_several_classes_gives_their_probabilities(folder: Path) -> None:
    model = RandomForestClassifier(5, random_state=0).fit(FRAME.select(NUMBERS), np.arange(ROWS) % 3)
    save_model(model, folder, task="multiclass", sample=FRAME)
    answer = load_model(folder, fast=False).predict(FRAME)
    assert answer.schema == {"prediction": pl.Int64, "probabilities": pl.List(pl.Float64)}
    assert answer["probabilities"].to_list() == model.predict_proba(FRAME.select(NUMBERS)).tolist()


@pytest.mark.parametrize("task", ["regression", "forecast"])
def test_a_regression_fitted_on_a_plain_array_takes_the_columns_in_order(folder: Path, task: Any) -> None:
    features = FRAME.select(NUMBERS)
    model = LinearRegression().fit(features.to_numpy(), FRAME["age"].to_numpy())
    save_model(model, folder, task=task, sample=features)
    answer = load_model(folder).predict(features.select("score", "age"))
    assert answer["prediction"].to_list() == pytest.approx(FRAME["age"].to_list())


def test_the_label_is_no_input(folder: Path) -> None:
    features = FRAME.select(NUMBERS)
    model = HistGradientBoostingRegressor(max_iter=3).fit(features.to_numpy(), np.arange(ROWS))
    sample = features.with_columns(sales=pl.Series(range(ROWS)))
    info = save_model(model, folder, task="regression", sample=sample, label="sales")
    assert [column.name for column in info.signature.inputs] == NUMBERS
    assert info.label == "sales"


def test_categories_and_times_keep_their_types(folder: Path) -> None:
    frame = FRAME.select(
        pl.col("city").cast(pl.Categorical),
        day=pl.Series([datetime(2026, 1, 1) + timedelta(days=place) for place in range(ROWS)]),
    )
    pick = ColumnTransformer([("c", OneHotEncoder(), ["city"])])
    save_model(make_pipeline(pick, LogisticRegression()).fit(frame, CHURNED), folder, task="binary", sample=frame)
    loaded = load_model(folder)
    assert [column.type for column in loaded.signature.inputs] == ["category", "datetime"]
    assert loaded.predict(pl.DataFrame({"city": ["Bern"], "day": ["2026-02-03T00:00:00"]})).height == 1


def test_boosted_trees_on_categories_can_be_saved(folder: Path) -> None:
    frame = FRAME.select("age", pl.col("city").cast(pl.Categorical))
    save_model(HistGradientBoostingClassifier(max_iter=3).fit(frame, CHURNED), folder, task="binary", sample=frame)
    assert load_model(folder).predict(frame.head(2)).height == 2


def test_a_ranking_model_suggests_items(folder: Path) -> None:
    model = RankingModel(["a", "b", "c"], prior=[0.1, 0.3, 0.2], neighbours=[[2], [0], [0]], weights=[[1.0], [0], [0]])
    sample = pl.DataFrame({"user": ["u1", "u2"], "recent": ["a b", ""]})
    info = save_model(model, folder, task="ranking", sample=sample)
    assert info.flavor == "penstock_ranking"
    assert load_model(folder).predict(sample)["items"].to_list() == [["c", "b", "a"], ["b", "c", "a"]]


def test_the_directory_is_what_mlflow_expects(saved: Path) -> None:
    described = yaml.safe_load((saved / "MLmodel").read_text())
    function = described["flavors"]["python_function"]
    assert function["loader_module"] == "penstock.registry.format.pyfunc"
    assert function["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    assert {"name": "age", "type": "long", "required": True} in json.loads(described["signature"]["inputs"])
    assert [column["name"] for column in json.loads(described["signature"]["outputs"])] == ["prediction", "score"]
    assert len(described["model_uuid"]) == 32
    pins = (saved / "requirements.txt").read_text().splitlines()
    assert any(pin.startswith("scikit-learn==") for pin in pins)
    assert yaml.safe_load((saved / "python_env.yaml").read_text())["dependencies"] == ["-r requirements.txt"]
    assert {"pip": pins} in yaml.safe_load((saved / "conda.yaml").read_text())["dependencies"]


def test_mlflow_can_call_the_loader_with_columns(saved: Path) -> None:
    model = _load_pyfunc(str(saved))
    rows = {"age": [40], "score": [0.5], "city": ["Bern"]}
    rows["income"] = [None]
    assert list(model.predict(rows)) == ["prediction", "score"]
    assert model.predict(pl.DataFrame(rows, schema_overrides={"income": pl.Float64})).height == 1


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        save_model(_encoded().fit(FRAME, CHURNED), tmp_path / name, task="binary", sample=FRAME)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert len(files) == 7
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes(), file


def test_a_golden_row_that_is_answered_otherwise_is_found(saved: Path) -> None:
    path = saved / "penstock" / "golden.json"
    held = json.loads(path.read_text())
    held["outputs"]["score"][3] += 1e-3
    path.write_text(json.dumps(held))
    with pytest.raises(CorruptDataError, match="row 3 has score"):
        check_golden(load_model(saved))
    held["outputs"]["score"][3] -= 1e-3 - 1e-12
    path.write_text(json.dumps(held))
    check_golden(load_model(saved))


@pytest.mark.parametrize("name", ["MLmodel", "model.skops", "penstock/golden.json", "penstock/fast.onnx"])
def test_a_damaged_or_missing_file_is_refused(saved: Path, name: str) -> None:
    whole = (saved / name).read_bytes()
    for damage in (whole[: len(whole) // 4], b"", b"\xff" * 40, None):
        (saved / name).unlink(missing_ok=True)
        if damage is not None:
            (saved / name).write_bytes(damage)
        with pytest.raises(CorruptDataError):
            check_golden(load_model(saved, fast=name != "model.skops"))


def test_a_model_of_another_library_is_refused_by_name(saved: Path) -> None:
    described = yaml.safe_load((saved / "MLmodel").read_text())
    del described["flavors"]["penstock"]
    described["flavors"] = {"catboost": {}}
    (saved / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(InvalidInputError, match="catboost"):
        load_model(saved)


def _own_function(values: Any) -> Any:
    return values


class _OwnEstimator(LogisticRegression):
    pass


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (FunctionTransformer(_own_function), "_own_function"),
        (FunctionTransformer(np.load), r"numpy\.load"),
        (make_pipeline(StandardScaler(), _OwnEstimator()), "_OwnEstimator"),
        (FunctionTransformer(lambda values: values), "lambda"),
    ],
)
def test_a_model_that_holds_foreign_code_is_refused_by_name(model: Any, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named) as refusal:
        write_estimator(model)
    assert "scikit-learn" in refusal.value.hint


def test_a_file_with_foreign_code_is_not_loaded(saved: Path) -> None:
    model = _OwnEstimator().fit(FRAME.select("age", "city").select("age"), CHURNED)
    skops.io.dump(model, saved / "model.skops")
    with pytest.raises(InvalidInputError, match="_OwnEstimator"):
        load_model(saved, fast=False)


@pytest.mark.parametrize(
    ("name", "trusted"),
    [
        ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", True),
        ("sklearn.metrics._dist_metrics.EuclideanDistance64", True),
        ("sklearn.utils.validation.check_array", True),
        ("numpy.load", False),
        ("numpy.testing._private.utils.runstring", False),
        ("numpy.testing.Runner", False),
        ("os.system", False),
        ("sklearnx.Evil", False),
        ("builtins.eval", False),
        ("sklearn.utils._testing.TempMemmap", False),
    ],
)
def test_only_harmless_names_are_trusted(name: str, trusted: bool) -> None:
    assert is_trusted(name) is trusted


@pytest.mark.parametrize(
    ("model", "task", "said"),
    [
        (LogisticRegression(), "binary", "not fitted"),
        (LinearSVC().fit(FRAME.select(NUMBERS), CHURNED), "binary", "CalibratedClassifierCV"),
        (LogisticRegression().fit(FRAME.select(NUMBERS), np.arange(ROWS) % 3), "binary", "3 classes"),
        (LogisticRegression().fit(FRAME.select(NUMBERS), CHURNED), "regression", "cannot serve"),
        (LogisticRegression().fit(FRAME.select(NUMBERS), CHURNED), "ranking", "cannot serve"),
        (LogisticRegression().fit(FRAME.select(NUMBERS).rename({"age": "years"}), CHURNED), "binary", "'years'"),
        (LogisticRegression().fit(FRAME.select(NUMBERS).to_numpy(), CHURNED), "binary", "2 columns without names"),
        ({"a": 1}, "binary", "dict"),
    ],
)
def test_a_model_that_cannot_serve_the_task_is_refused_with_the_reason(
    folder: Path, model: Any, task: Any, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        save_model(model, folder, task=task, sample=FRAME)


def test_calibration_makes_a_margin_model_servable(folder: Path) -> None:
    model = CalibratedClassifierCV(LinearSVC(), cv=2).fit(FRAME.select(NUMBERS), CHURNED)
    save_model(model, folder, task="binary", sample=FRAME)
    assert load_model(folder).predict(FRAME)["score"].is_between(0, 1).all()


def test_an_unknown_category_is_the_callers_mistake(folder: Path) -> None:
    save_model(_encoded("error").fit(FRAME, CHURNED), folder, task="binary", sample=FRAME)
    with pytest.raises(InvalidInputError, match="Geneva"):
        load_model(folder).predict(FRAME.head(1).with_columns(city=pl.lit("Geneva")))


def test_nothing_is_written_over(saved: Path) -> None:
    with pytest.raises(InvalidInputError, match="there already"):
        save_model(_encoded().fit(FRAME, CHURNED), saved, task="binary", sample=FRAME)


def test_a_moved_directory_still_loads(saved: Path, tmp_path: Path) -> None:
    shutil.move(saved, tmp_path / "elsewhere")
    check_golden(load_model(tmp_path / "elsewhere"))

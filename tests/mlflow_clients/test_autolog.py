"""Autologging of scikit-learn, LightGBM and XGBoost: what a training run leaves behind, and that it is loaded again."""

from collections.abc import Iterator
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pytest
import xgboost
from mlflow.entities import Run
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Split = tuple[Any, Any, Any, Any]


@pytest.fixture(scope="module")
def split() -> Split:
    rows, labels = make_classification(200, n_features=6, random_state=0)
    parts: Split = tuple(train_test_split(rows, labels, random_state=0))
    return parts


@pytest.fixture(autouse=True)
def _nothing_stays_patched() -> Iterator[None]:
    yield
    mlflow.autolog(disable=True)
    for module in (mlflow.sklearn, mlflow.lightgbm, mlflow.xgboost):
        module.autolog(disable=True)


def only_run(experiment: str) -> Run:
    found = mlflow.search_runs([experiment], output_format="list")
    assert len(found) == 1
    return mlflow.get_run(found[0].info.run_id)


def paths(run: Run) -> set[str]:
    return {file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}


def test_scikit_learn_by_itself(tracking: str, split: Split) -> None:
    mlflow.sklearn.autolog(log_models=False)
    rows, _, labels, _ = split
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(rows, labels)
    run = only_run(tracking)
    assert run.info.status == "FINISHED"
    assert run.data.params["logisticregression__C"] == "0.5"
    assert run.data.metrics["training_score"] == model.score(rows, labels)
    assert {"training_accuracy_score", "training_f1_score", "training_log_loss"} <= run.data.metrics.keys()
    assert run.data.tags["estimator_name"] == "Pipeline"
    assert any("training_confusion_matrix" in path for path in paths(run))
    assert [held.tags[0].value for held in run.inputs.dataset_inputs] == ["train"]


def test_a_search_makes_a_run_for_each_of_the_best(tracking: str, split: Split) -> None:
    mlflow.sklearn.autolog(log_models=False, max_tuning_runs=3, log_datasets=False)
    rows, _, labels, _ = split
    grid = {"n_estimators": [2, 3], "max_depth": [1, 2]}
    GridSearchCV(RandomForestClassifier(random_state=0), grid, cv=2).fit(rows, labels)
    found = mlflow.search_runs([tracking], output_format="list")
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1 and len(found) == 4
    assert "best_cv_score" in parents[0].data.metrics and "cv_results.csv" in paths(parents[0])
    children = mlflow.search_runs(
        [tracking],
        filter_string=f"tags.mlflow.parentRunId = '{parents[0].info.run_id}'",
        order_by=["metrics.mean_test_score DESC"],
        output_format="list",
    )
    scores = [run.data.metrics["mean_test_score"] for run in children]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert scores[0] == parents[0].data.metrics["best_cv_score"]


def test_lightgbm(tracking: str, split: Split) -> None:
    mlflow.lightgbm.autolog(log_input_examples=False)
    rows, other_rows, labels, other_labels = split
    data = lightgbm.Dataset(rows, label=labels)
    params = {"objective": "binary", "metric": "binary_logloss", "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    model = lightgbm.train(
        params, data, num_boost_round=6, valid_sets=[lightgbm.Dataset(other_rows, other_labels)], valid_names=["valid"]
    )
    run = only_run(tracking)
    assert run.data.params["num_leaves"] == "4" and run.data.params["num_boost_round"] == "6"
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "valid-binary_logloss")
    assert [point.step for point in history] == list(range(6))
    assert history[-1].value == run.data.metrics["valid-binary_logloss"]
    assert any(path.startswith("feature_importance_split") for path in paths(run))
    loaded = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert np.allclose(loaded.predict(other_rows), model.predict(other_rows))


def test_xgboost(tracking: str, split: Split) -> None:
    mlflow.xgboost.autolog(log_input_examples=False)
    rows, other_rows, labels, other_labels = split
    data, other = xgboost.DMatrix(rows, labels), xgboost.DMatrix(other_rows, other_labels)
    params = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1}
    model = xgboost.train(params, data, num_boost_round=5, evals=[(other, "test")], verbose_eval=False)
    run = only_run(tracking)
    assert run.data.params["max_depth"] == "2"
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "test-logloss")
    assert [point.step for point in history] == list(range(5))
    assert "feature_importance_weight.json" in paths(run)
    loaded = mlflow.xgboost.load_model(f"runs:/{run.info.run_id}/model")
    assert np.allclose(loaded.predict(other), model.predict(other))


def test_a_model_is_registered_and_scored_later(tracking: str, split: Split, name: str) -> None:
    mlflow.autolog(log_input_examples=False, log_datasets=False, silent=True)
    mlflow.sklearn.autolog(registered_model_name=name, log_datasets=False, silent=True)
    rows, other_rows, labels, other_labels = split
    with mlflow.start_run() as active:
        model = LogisticRegression().fit(rows, labels)
        score = model.score(other_rows, other_labels)
    run = mlflow.get_run(active.info.run_id)
    assert run.data.metrics["LogisticRegression_score_other_rows"] == score
    for uri in (f"runs:/{run.info.run_id}/model", f"models:/{name}/1"):
        loaded = mlflow.sklearn.load_model(uri)
        assert np.array_equal(loaded.predict(other_rows), model.predict(other_rows))


def test_a_training_that_fails_leaves_a_failed_run(tracking: str) -> None:
    mlflow.sklearn.autolog(log_models=False, log_datasets=False)
    with pytest.raises(ValueError):
        LogisticRegression().fit([[1.0], [2.0]], [0, 0])
    assert only_run(tracking).info.status == "FAILED"

"""Model directories both ways: MLflow's own loaders read what penstock saved, and penstock what MLflow saved."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import mlflow.lightgbm
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import pytest
import xgboost
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

pytestmark = pytest.mark.mlflow3

CHANCE = np.random.default_rng(5)
ROWS = CHANCE.normal(size=(60, 3))
FRAME = pd.DataFrame(ROWS, columns=["a", "b", "c"])
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)

SAVE = """
import sys
from pathlib import Path
import lightgbm, numpy as np, polars as pl, xgboost
from sklearn.linear_model import LogisticRegression
from penstock.registry.format.saving import save_model
rows = np.array(eval(sys.argv[2]))
labels = (rows[:, 0] + rows[:, 1] > 0).astype(int)
sample = pl.DataFrame(rows, schema=["a", "b", "c"])
models = {
    "sklearn": LogisticRegression().fit(sample, labels),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(rows, labels),
    "xgboost": xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(rows, labels),
}
for name, model in models.items():
    save_model(model, Path(sys.argv[1]) / name, task="binary", sample=sample)
    np.savetxt(Path(sys.argv[1]) / f"{name}.txt", model.predict_proba(sample if name == "sklearn" else rows)[:, 1])
"""
LOAD = """
import json, sys
from pathlib import Path
import numpy as np
from penstock.registry.format.loaded import load_model
loaded = load_model(Path(sys.argv[1]), may_execute=sys.argv[3] == "yes")
answer = loaded.predict_arrays(np.array(eval(sys.argv[2])))
print(json.dumps([loaded.task, [column.name for column in loaded.signature.inputs], answer["score"].tolist()]))
"""


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest) -> str:
    """The Python that penstock is installed in, which knows nothing of MLflow."""
    return str(request.config.getoption("--server-python"))


def _run(python: str, script: str, *arguments: str) -> str:
    done = subprocess.run([python, "-c", script, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ours(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours")
    _run(python, SAVE, str(folder), repr(ROWS.tolist()))
    return folder


def test_mlflow_loads_our_models_with_its_own_loaders(ours: Path) -> None:
    loaded: dict[str, Any] = {
        "sklearn": mlflow.sklearn.load_model(str(ours / "sklearn")).predict_proba(FRAME)[:, 1],
        "lightgbm": mlflow.lightgbm.load_model(str(ours / "lightgbm")).predict(ROWS),
        "xgboost": mlflow.xgboost.load_model(str(ours / "xgboost")).predict_proba(ROWS)[:, 1],
    }
    for name, answer in loaded.items():
        assert answer == pytest.approx(np.loadtxt(ours / f"{name}.txt"), abs=1e-6), name


@pytest.mark.parametrize("name", ["sklearn", "lightgbm", "xgboost"])
def test_mlflow_reads_what_our_models_say_of_themselves(ours: Path, name: str) -> None:
    info = mlflow.models.get_model_info(str(ours / name))
    assert info.signature.inputs.input_names() == ["a", "b", "c"]
    assert {"python_function", "penstock", name} == set(info.flavors)


_BOTH = """
import os, sys
sys.path += [sys.argv[1], sys.argv[2]]  # penstock and what it needs, behind what this environment has
import mlflow.pyfunc, numpy as np, pandas as pd
frame = pd.DataFrame(np.array(eval(sys.argv[4])), columns=["a", "b", "c"])
print(mlflow.pyfunc.load_model(sys.argv[3]).predict(frame)["score"].tolist())
"""


@pytest.mark.parametrize("name", ["sklearn", "lightgbm", "xgboost"])
def test_mlflow_loads_our_models_as_functions_where_penstock_is(ours: Path, name: str, python: str) -> None:
    places = _run(
        python,
        "import json, sysconfig, penstock, pathlib; "
        "print(json.dumps([str(pathlib.Path(penstock.__file__).parents[1]), sysconfig.get_paths()['purelib']]))",
    )

    said = _run(sys.executable, _BOTH, *json.loads(places), str(ours / name), repr(ROWS.tolist()))
    assert json.loads(said.splitlines()[-1]) == pytest.approx(np.loadtxt(ours / f"{name}.txt").tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", ["skops", "cloudpickle", "pickle"])
def test_penstock_loads_an_estimator_that_mlflow_saved(kind: str, python: str, tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / "model"),
        serialization_format=kind,
        pip_requirements=["scikit-learn"],
        signature=infer_signature(FRAME, model.predict(FRAME)),
    )
    allowed = "no" if kind == "skops" else "yes"
    task, columns, score = json.loads(_run(python, LOAD, str(tmp_path / "model"), repr(ROWS.tolist()), allowed))
    assert (task, columns) == ("binary", ["a", "b", "c"])
    assert score == pytest.approx(model.predict_proba(FRAME)[:, 1].tolist())


@pytest.mark.parametrize("kind", ["lightgbm", "lightgbm-booster", "xgboost", "xgboost-booster"])
def test_penstock_loads_boosters_that_mlflow_saved(kind: str, python: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "model")
    if kind.startswith("lightgbm"):
        light = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(ROWS, LABELS)
        expected = light.predict_proba(ROWS)[:, 1]
        saved = light.booster_ if kind.endswith("booster") else light
        mlflow.lightgbm.save_model(saved, folder, pip_requirements=["lightgbm"])
    else:
        extreme = xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(ROWS, LABELS)
        expected = extreme.predict_proba(ROWS)[:, 1]
        saved = extreme.get_booster() if kind.endswith("booster") else extreme
        mlflow.xgboost.save_model(saved, folder, pip_requirements=["xgboost"])
    task, columns, score = json.loads(_run(python, LOAD, folder, repr(ROWS.tolist()), "no"))
    assert (task, len(columns)) == ("binary", 3)
    assert score == pytest.approx(expected.tolist(), abs=1e-6)

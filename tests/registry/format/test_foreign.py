"""Directories that MLflow saved: loaded without MLflow, described as far as they tell, and never executed unasked."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.registry.format.compiling import compile_model
from penstock.registry.format.loaded import NeedsItsOwnProcessError, check_golden, load_model
from penstock.registry.format.mlmodel import read_facts
from registry.format.rows import AMOUNT, BINARY, CLASSES, WHOLE

MADE = Path(__file__).parent / "made_by_mlflow"  # by MLflow 3.17.2
SAFE = ["sk_skops", "lgb_sk", "lgb_b", "xgb_sk", "xgb_b"]
ROWS = np.random.default_rng(1).normal(size=(40, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MADE / "sk_skops", tmp_path / "model"))


def _describe(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = yaml.safe_load((folder / "MLmodel").read_text())
    change(content)
    (folder / "MLmodel").write_text(yaml.safe_dump(content))


def _pickle(folder: Path, model: object, kind: str = "cloudpickle") -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    (folder / "model.skops").unlink()
    section = {"pickled_model": "model.pkl", "serialization_format": kind, "sklearn_version": "1.9.1", "code": None}
    _describe(folder, lambda content: content["flavors"].update(sklearn=section))


@pytest.mark.parametrize("name", SAFE)
def test_what_executes_nothing_is_loaded_at_once(name: str) -> None:
    loaded = load_model(MADE / name)
    assert (loaded.task, loaded.classes, loaded.info.saved_by) == ("binary", (0, 1), "mlflow")
    answer = loaded.predict_arrays(ROWS)
    assert ((answer["score"] > 0.5) == (answer["prediction"] == 1)).all()
    assert ((ROWS[:, 0] + ROWS[:, 1] > 0) == answer["prediction"]).mean() > 0.7  # what they were trained to tell
    check_golden(loaded)  # it has none, and nothing is held against it


def test_columns_come_from_the_signature_or_else_from_the_model() -> None:
    assert [column.name for column in load_model(MADE / "sk_skops").signature.inputs] == ["a", "b", "c"]
    tensor = load_model(MADE / "lgb_b")
    assert [(c.name, c.type, c.required) for c in tensor.signature.inputs] == [
        ("a", "double", False),
        ("b", "double", False),
        ("c", "double", False),
    ]
    bare = load_model(MADE / "xgb_b")
    assert [column.name for column in bare.signature.inputs] == ["a", "b", "c"]
    assert "no signature" in " ".join(bare.info.notes)


def test_the_registry_reads_what_the_file_says() -> None:
    facts = read_facts((MADE / "lgb_b" / "MLmodel").read_bytes())
    assert facts.flavor == "lightgbm" and facts.task is None
    assert [column.name for column in facts.signature.inputs] == ["x0", "x1", "x2"]


@pytest.mark.parametrize("kind", ["pickle", "cloudpickle"])
def test_a_pickled_estimator_is_loaded_only_where_it_may_run(kind: str, folder: Path) -> None:
    model = LogisticRegression().fit(ROWS, ROWS[:, 0] > 0)
    _pickle(folder, model, kind)
    with pytest.raises(NeedsItsOwnProcessError, match="running code"):
        load_model(folder)
    loaded = load_model(folder, may_execute=True)
    assert loaded.classes == (False, True)
    assert loaded.predict_arrays(ROWS)["score"] == pytest.approx(model.predict_proba(ROWS)[:, 1])


class _Bomb:
    def __reduce__(self) -> Any:
        return Path.mkdir, (Path("executed"),)


def test_nothing_runs_of_a_pickle_that_is_not_allowed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _pickle(folder, _Bomb())
    (folder / "python_model.pkl").write_bytes(pickle.dumps(_Bomb()))
    for flavors in (
        None,
        {"python_function": {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}},
    ):
        if flavors:
            _describe(folder, lambda content, new=flavors: content.update(flavors=new))
        with pytest.raises(NeedsItsOwnProcessError):
            load_model(folder)
        with pytest.raises(NeedsItsOwnProcessError):
            compile_model(folder, tmp_path / "compiled")
    assert not (tmp_path / "executed").exists()


def test_a_lie_about_the_format_does_not_unpickle(folder: Path) -> None:
    (folder / "model.skops").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(CorruptDataError):
        load_model(folder)
    _describe(folder, lambda content: content["flavors"].update(penstock={"flavor": "sklearn", "task": "binary"}))
    with pytest.raises(CorruptDataError):
        load_model(folder)


@pytest.mark.parametrize("path", ["../outside.skops", "/etc/hostname", "nothing.skops", None, 3])
def test_a_file_outside_the_directory_is_not_read(path: Any, folder: Path) -> None:
    shutil.copy(folder / "model.skops", folder.parent / "outside.skops")
    _describe(folder, lambda content: content["flavors"]["sklearn"].update(pickled_model=path))
    with pytest.raises(CorruptDataError):
        load_model(folder)


def test_a_regression_and_a_classifier_without_probabilities_are_told_apart(folder: Path) -> None:
    _pickle(folder, LinearRegression().fit(ROWS, ROWS[:, 0]))
    assert load_model(folder, may_execute=True).task == "regression"
    labels = np.where(ROWS[:, 0] > 0, "yes", "no")
    (folder / "model.pkl").write_bytes(pickle.dumps(LinearSVC().fit(ROWS, labels)))
    loaded = load_model(folder, may_execute=True)
    assert (loaded.task, [column.name for column in loaded.signature.outputs]) == ("binary", ["prediction"])
    assert set(loaded.predict_arrays(ROWS)["prediction"]) == {"yes", "no"}


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("kind", ["classes", "binary", "regression"])
def test_an_onnx_model_tells_its_task_by_its_outputs(kind: str, zipmap: bool, folder: Path) -> None:
    target = {"classes": CLASSES, "binary": BINARY, "regression": AMOUNT}[kind]
    estimator = LinearRegression() if kind == "regression" else LogisticRegression(max_iter=500)
    fitted = estimator.fit(WHOLE.to_numpy(), target)
    options = None if kind == "regression" else {"zipmap": zipmap}
    model = to_onnx(fitted, WHOLE.to_numpy()[:1].astype(np.float32), options=options)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    _describe(folder, lambda content: content.update(flavors={"onnx": {"data": "model.onnx"}}))
    if kind == "classes" and not zipmap:
        with pytest.raises(InvalidInputError, match="zipmap"):
            load_model(folder)
        return
    loaded = load_model(folder)
    assert loaded.task == {"classes": "multiclass"}.get(kind, kind)
    assert [column.name for column in loaded.signature.inputs] == ["a", "b", "c"]
    answer = loaded.predict_arrays(WHOLE.to_numpy())
    if kind == "classes":
        assert loaded.classes == ("high", "low", "middle")
        assert answer["probabilities"] == pytest.approx(fitted.predict_proba(WHOLE.to_numpy()), abs=1e-4)
    assert (answer["prediction"] == fitted.predict(WHOLE.to_numpy())).mean() > 0.99 or kind == "regression"


@pytest.mark.parametrize("name", SAFE)
def test_a_directory_of_mlflow_is_compiled_into_one_of_ours(name: str, tmp_path: Path) -> None:
    sample = pl.DataFrame(ROWS, schema=["a", "b", "c"])
    before = {path.name: path.read_bytes() for path in (MADE / name).iterdir()}
    info = compile_model(MADE / name, tmp_path / "compiled", sample)
    assert info.fast_form is not None and info.fast_form.used and info.fast_form.rows >= len(ROWS)
    loaded = load_model(tmp_path / "compiled")
    check_golden(loaded)
    expected = load_model(MADE / name).predict_arrays(ROWS)["score"]
    assert loaded.is_fast and loaded.predict_arrays(ROWS)["score"] == pytest.approx(expected, abs=1e-5)
    assert before == {path.name: path.read_bytes() for path in (MADE / name).iterdir()}
    flavors = yaml.safe_load((tmp_path / "compiled" / "MLmodel").read_text())["flavors"]
    assert {"penstock", "python_function"} < set(flavors)


def test_the_input_example_serves_where_no_rows_are_given(tmp_path: Path) -> None:
    info = compile_model(MADE / "sk_skops", tmp_path / "compiled")
    assert info.fast_form is not None and info.fast_form.rows == 2
    with pytest.raises(InvalidInputError, match="no input example"):
        compile_model(MADE / "lgb_b", tmp_path / "other")
    with pytest.raises(InvalidInputError, match="there already"):
        compile_model(MADE / "lgb_b", tmp_path / "compiled")


def test_a_model_of_ones_own_says_that_it_needs_mlflow(folder: Path) -> None:
    section = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}
    _describe(folder, lambda content: content.update(flavors={"python_function": section}))
    with pytest.raises(InvalidInputError, match="needs mlflow"):
        load_model(folder, may_execute=True)


@pytest.mark.parametrize(
    "inputs",
    [
        [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}}],
        [{"type": "tensor", "tensor-spec": {"dtype": "complex64", "shape": [-1, 3]}}],
        [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 10**9]}}],
        [{"type": "tensor", "tensor-spec": None}],
        [{"name": "a", "type": "map"}],
        [{"name": "a", "type": "double"}, {"name": "a", "type": "double"}],
        {"a": 1},
    ],
)
def test_a_signature_of_something_else_is_passed_over(inputs: Any, folder: Path) -> None:
    _describe(folder, lambda content: content.update(signature={"inputs": json.dumps(inputs)}))
    assert [column.name for column in load_model(folder).signature.inputs] == ["a", "b", "c"]


def test_a_module_of_pytorch_that_mlflow_saved_answers_as_it_does(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed; it is not among the extras")
    flavor = pytest.importorskip("mlflow.pytorch", reason="mlflow is not installed; `make test-mlflow` has it")
    signatures = pytest.importorskip("mlflow.models")
    module = torch.nn.Linear(3, 1)
    rows = ROWS.astype("float32")
    expected = module(torch.from_numpy(rows)).detach().numpy()
    for name, given in (("tensor", rows), ("columns", signatures.signature.pd.DataFrame(rows, columns=list("abc")))):
        signature = signatures.infer_signature(given, expected)
        flavor.save_model(module, tmp_path / name, signature=signature, serialization_format="pickle")
        model = load_model(tmp_path / name, may_execute=True)
        frame = pl.DataFrame(ROWS, schema=[column.name for column in model.signature.inputs])
        assert model.predict(frame)["prediction"].to_numpy() == pytest.approx(expected[:, 0], abs=1e-5)

"""A project's own models: saved as code with files beside it, and loaded only where code may run."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import warm_python
from patience import PATIENCE_S
from penstock.core.errors import InvalidInputError
from penstock.registry.format.function_model import FunctionModel
from penstock.registry.format.loaded import NeedsItsOwnProcessError, load_model

CODE = {
    "shop_models/__init__.py": "",
    "shop_models/scaling.py": "FACTOR = 3.0\n",
    "shop_models/late.py": "SHIFT = 1.0\n",
    "shop_models/own.py": """
import json
import numpy as np
from shop_models.scaling import FACTOR

class Mean:
    def __init__(self, mean): self.mean = mean
    def predict(self, frame):
        from shop_models.late import SHIFT
        return frame["x"].to_numpy() * FACTOR + self.mean + SHIFT
    def save(self, folder): (folder / "mean.json").write_text(json.dumps(self.mean))
    @classmethod
    def load(cls, folder): return cls(json.loads((folder / "mean.json").read_text()))

class Forgetful(Mean):
    def save(self, folder): pass

class Unreadable:
    def predict(self, frame): return frame["x"]
    def save(self, folder): pass

def chance(frame, weights, words, settings):
    assert words.read_text() == "words"
    return 1 / (1 + np.exp(-(frame.select("x", "y").to_numpy() @ weights + settings["shift"])))

def three(frame): return np.zeros((frame.height, 3))
""",
}
SAMPLE = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0.5, 0.0, -0.5]})

SAVE = """
import sys
from pathlib import Path
import json, numpy as np, polars as pl
sys.path.insert(0, sys.argv[1])
from shop_models import own
from penstock import FunctionModel
from penstock.core.errors import PenstockError
from penstock.registry.format.saving import save_model
SAMPLE = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0.5, 0.0, -0.5]})
target = Path(sys.argv[2])
try:
    save_model(MODEL, target, task=TASK, sample=SAMPLE)
except PenstockError as error:
    sys.exit(str(error))
"""
LOAD = """
import sys
from pathlib import Path
import polars as pl
from penstock.registry.format.loaded import check_golden, load_model
model = load_model(Path(sys.argv[1]), may_execute=True)
check_golden(model)
print(model.predict(pl.DataFrame({"x": [1.0, 2.0], "y": [0.0, 1.0]})).to_dicts())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in CODE.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text)
    (tmp_path / "project" / "words.txt").write_text("words")
    return tmp_path / "project"


def _run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return warm_python.run(["-c", script, *arguments], timeout=PATIENCE_S)


def _save(project: Path, model: str, task: str) -> tuple[Path, str]:
    folder = project.parent / "model"
    done = _run(SAVE.replace("MODEL", model).replace("TASK", repr(task)), project, folder)
    return folder, done.stderr


def test_a_class_of_the_project_comes_back_without_the_project(project: Path) -> None:
    folder, said = _save(project, "own.Mean(10.0)", "regression")
    assert not said
    assert {path.name for path in (folder / "code" / "shop_models").iterdir()} == {
        "__init__.py",
        "scaling.py",
        "late.py",
        "own.py",
    }
    with pytest.raises(NeedsItsOwnProcessError, match="penstock_code"):
        load_model(folder)
    project.rename(project.with_name("gone"))
    answered = _run(LOAD, folder)
    assert answered.stdout.strip() == "[{'prediction': 14.0}, {'prediction': 17.0}]", answered.stderr
    described = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["penstock"]
    assert described["fast_form"]["reason"] == "it is Python code"
    assert not list(folder.rglob("*.pkl"))


def test_a_function_gets_its_arrays_values_and_files(project: Path) -> None:
    files = f"'words': Path({str(project / 'words.txt')!r})"
    artifacts = f"{{'weights': np.array([1.0, 2.0]), 'settings': {{'shift': -1.0}}, {files}}}"
    folder, said = _save(project, f"FunctionModel(own.chance, {artifacts}, classes=['no', 'yes'])", "binary")
    assert not said
    project.rename(project.with_name("gone"))
    answered = _run(LOAD, folder)
    assert answered.stdout.startswith("[{'prediction': 'no', 'score': 0.5}, {'prediction': 'yes'"), answered.stderr


@pytest.mark.parametrize(
    ("model", "task", "said"),
    [
        ("own.Forgetful(1.0)", "regression", "cannot be loaded from the code that was saved with it"),
        ("own.Unreadable()", "regression", "load(folder)"),
        ("own.three", "regression", "the model gives (3, 3) for 3 rows"),
        ("own.three", "multiclass", "does not say its classes"),
        ("(lambda frame: frame['x'])", "regression", "cannot be imported by name"),
        ("FunctionModel(json.dumps)", "regression", "no file of a project"),
    ],
)
def test_what_cannot_come_back_is_refused_when_it_is_saved(project: Path, model: str, task: str, said: str) -> None:
    _, answered = _save(project, model, task)
    assert said in answered


def test_an_artifact_that_is_nothing_to_write_is_refused(tmp_path: Path) -> None:
    for value, said in (
        (object(), "neither an array"),
        (np.array([object()]), "neither"),
        (Path("nothing"), "not there"),
    ):
        artifacts: Any = {"name": value}
        with pytest.raises(InvalidInputError, match=said):
            FunctionModel(_identity, artifacts).save(tmp_path)


def _identity(frame: pl.DataFrame) -> pl.DataFrame:
    return frame

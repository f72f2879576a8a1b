"""Model directories whose loading would show: a file would appear, a port be called, a secret be read."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import onnx
import polars as pl
import yaml
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LinearRegression

from penstock.registry.format.saving import save_model

COLUMNS = [{"type": "double", "name": name, "required": True} for name in ("a", "b")]
SAMPLE = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]})

# What a hostile model tries; it tells on its output what came of it, and goes on as a model that works.
CODE = """
import os, socket
def attempt(work):
    try:
        work()
        return "done"
    except OSError as error:
        return type(error).__name__
tried = [
    attempt(lambda: open({marker!r}, "a").write("x")),
    attempt(lambda: socket.create_connection(("127.0.0.1", {port}), 2)),
    attempt(lambda: open({secret!r}).read()),
]
print("canary:", *tried, flush=True)
"""


class Canary:
    """Runs the code when it is unpickled, and becomes a model that works."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        fitted = LinearRegression().fit(SAMPLE.to_numpy(), [1.0, 2.0, 3.0, 4.0])
        text = f"exec({self.code!r}, {{}}) or __import__('pickle').loads({pickle.dumps(fitted)!r})"
        return eval, (text,)


def write_mlmodel(folder: Path, flavors: dict[str, Any]) -> None:
    """An MLmodel file as another tool would have written it."""
    folder.mkdir(parents=True, exist_ok=True)
    signature = {"inputs": json.dumps(COLUMNS), "outputs": json.dumps([{"type": "double", "name": "prediction"}])}
    content = {"flavors": flavors, "signature": signature, "model_uuid": "0" * 32, "mlflow_version": "3.1.0"}
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    (folder / "requirements.txt").write_text("")


def pickled(folder: Path, code: str) -> None:
    """scikit-learn, pickled."""
    write_mlmodel(folder, {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle", "code": None}})
    (folder / "model.pkl").write_bytes(pickle.dumps(Canary(code)))


def joblib_file(folder: Path, code: str) -> None:
    """scikit-learn, by joblib."""
    write_mlmodel(folder, {"sklearn": {"pickled_model": "model.joblib", "serialization_format": "joblib"}})
    joblib.dump(Canary(code), folder / "model.joblib")


def cloudpickled(folder: Path, code: str) -> None:
    """scikit-learn, by cloudpickle."""
    write_mlmodel(folder, {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}})
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(Canary(code)))


def pyfunc(folder: Path, code: str) -> None:
    """A loader of its own, in code of its own."""
    write_mlmodel(folder, {"python_function": {"loader_module": "evil", "code": "code", "data": "data"}})
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").write_text(code + "\ndef _load_pyfunc(path): pass\n")
    (folder / "code" / "sitecustomize.py").write_text(code)


def torch_zip(folder: Path, code: str) -> None:
    """PyTorch's zip of a pickle."""
    write_mlmodel(folder, {"pytorch": {"model_data": "data", "pytorch_version": "2.5"}})
    (folder / "data").mkdir()
    with zipfile.ZipFile(folder / "data" / "model.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Canary(code)))
        archive.writestr("archive/version", "3\n")


def skops_type(folder: Path, code: str) -> None:
    """A skops file that names a function of the system instead of a type."""
    save_model(LinearRegression().fit(SAMPLE.to_numpy(), [1, 2, 3, 4]), folder, task="regression", sample=SAMPLE)
    (file,) = folder.glob("*.skops")
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    schema |= {"__class__": "exec", "__module__": "builtins", "__loader__": "TypeNode", "content": code}
    parts["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    _change(folder)


def onnx_traversal(folder: Path, code: str) -> None:
    """ONNX whose weights are said to lie in a file outside."""
    weights = numpy_helper.from_array(np.ones((2, 1), dtype=np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../../../../../../../etc/passwd"), ("offset", "0"), ("length", "8")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "evil",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights],
    )
    write_mlmodel(folder, {"onnx": {"data": "model.onnx", "onnx_version": onnx.__version__}})
    (folder / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())


def keras_lambda(folder: Path, code: str) -> None:
    """Keras with a lambda layer, which is marshalled code."""
    write_mlmodel(folder, {"tensorflow": {"model_type": "keras", "data": "data", "code": None}})
    (folder / "data").mkdir()
    layer = {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}
    config = {"class_name": "Sequential", "config": {"layers": [layer]}, "module": "evil", "code": code}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    (folder / "data" / "model.keras").write_bytes(held.getvalue())


def yaml_tags(folder: Path, code: str) -> None:
    """YAML that asks for Python objects."""
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text(f"flavors: !!python/object/apply:builtins.exec [{json.dumps(code)}]\n")
    (folder / "conda.yaml").write_text(f"!!python/object/apply:builtins.exec [{json.dumps(code)}]\n")


FORMATS: dict[str, Callable[[Path, str], None]] = {
    made.__name__: made
    for made in (
        pickled,
        joblib_file,
        cloudpickled,
        pyfunc,
        torch_zip,
        skops_type,
        onnx_traversal,
        keras_lambda,
        yaml_tags,
    )
}


def trusted_pickle(folder: Path, code: str) -> None:
    """A pickle that penstock can load, once somebody vouches for it."""
    save_model(
        LinearRegression().fit(SAMPLE.to_numpy(), [1.0, 2.0, 3.0, 4.0]), folder, task="regression", sample=SAMPLE
    )
    for file in folder.glob("*.skops"):
        file.unlink()
    _change(folder, flavor="pickle", options={"file": "model.pkl"})
    (folder / "model.pkl").write_bytes(pickle.dumps(Canary(code)))


def _change(folder: Path, **section: object) -> None:
    """Describe a model directory otherwise, and as one without a fast form: with one its own files are never opened."""
    content = yaml.safe_load((folder / "MLmodel").read_text())
    content["flavors"]["penstock"] |= {"fast_form": None, **section}
    (folder / "MLmodel").write_text(yaml.safe_dump(content))

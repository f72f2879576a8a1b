"""Models of LightGBM, XGBoost and ONNX, as the files of these libraries."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.pipelines.values import estimators
from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore

_XGBOOST = ("Booster", "XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")


def write(value: Any, objects: ObjectStore) -> StoredValue:
    """Keep a model; an estimator of LightGBM is kept as those of scikit-learn are."""
    library = type(value).__module__.partition(".")[0]
    name = type(value).__name__
    if library == "lightgbm":
        if name != "Booster":
            return estimators.write(value, objects)
        content = value.model_to_string().encode()
    elif library == "xgboost" and name in _XGBOOST:
        content = _write_xgboost(value)
    elif library == "onnx" and name == "ModelProto":
        content = value.SerializeToString()
    else:
        raise InvalidInputError("only models of these libraries are kept", hint="return a booster or an estimator")
    return StoredValue(kind="booster", digest=objects.put_bytes(content), type=f"{library}:{name}", about=name)


def read(stored: StoredValue, objects: ObjectStore) -> Any:
    """The model again."""
    library, _, name = stored.type.partition(":")
    content = objects.get_bytes(stored.key)
    if library == "lightgbm":
        return import_module("lightgbm").Booster(model_str=content.decode())
    if library == "onnx":
        return import_module("onnx").load_model_from_string(content)
    if library != "xgboost" or name not in _XGBOOST:
        raise CorruptDataError(f"a stored value is said to be a {stored.type!r}, which is no model")
    model = getattr(import_module("xgboost"), name)()
    model.load_model(bytearray(content))
    return model


def _write_xgboost(model: Any) -> bytes:
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / "model.json"
        model.save_model(path)
        return path.read_bytes()

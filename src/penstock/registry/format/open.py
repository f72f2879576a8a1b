"""Finds the parts of the model format that load slowly, each when it is first needed."""

from importlib import import_module
from typing import Any

from penstock.core.errors import InvalidInputError
from penstock.registry.format.port import Flavor

_HERE = "penstock.registry.format"
_FLAVORS = {
    "sklearn": f"{_HERE}.flavors.sklearn",
    "lightgbm": f"{_HERE}.flavors.lightgbm",
    "xgboost": f"{_HERE}.flavors.xgboost",
    "onnx": f"{_HERE}.flavors.onnx",
    "penstock_ranking": f"{_HERE}.flavors.ranking",
    "penstock_code": f"{_HERE}.flavors.code",
    "pickle": f"{_HERE}.flavors.pickled",
    "python_function": f"{_HERE}.flavors.python_function",
}
FLAVORS = tuple(_FLAVORS)


def open_flavor(name: str) -> Flavor:
    """The flavor of that name.

    Raises:
        InvalidInputError: there is none; the model was written by something else, or a newer penstock.
    """
    module = _FLAVORS.get(name)
    if module is None:
        raise InvalidInputError(f"models of flavor {name!r} cannot be read", hint=f"known are {', '.join(_FLAVORS)}")
    flavor: Flavor = import_module(module).FLAVOR
    return flavor


def open_frames() -> Any:
    """`frames`, which loads polars."""
    return import_module(f"{_HERE}.frames")


def open_onnx() -> Any:
    """`onnx_predictor`, which loads onnxruntime."""
    return import_module(f"{_HERE}.onnx_predictor")


def find_flavor(model: object) -> Flavor:
    """The flavor that can save this object.

    Raises:
        InvalidInputError: no flavor can.
    """
    for kind in type(model).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in ("lightgbm", "xgboost", "onnx"):
            return open_flavor(library)
        if kind.__name__ == "RankingModel" and kind.__module__ == f"{_HERE}.ranking":
            return open_flavor("penstock_ranking")
        if library == "torch" and kind.__name__ == "Module":
            return open_flavor("onnx")
        if library == "sklearn":
            return open_flavor("sklearn")
    if callable(model) or all(hasattr(model, name) for name in ("predict", "save")):
        return open_flavor("penstock_code")
    if hasattr(model, "get_params") and hasattr(model, "predict"):
        return open_flavor("sklearn")
    kind_name = f"{type(model).__module__}.{type(model).__qualname__}"
    raise InvalidInputError(
        f"a model of type {kind_name} cannot be saved",
        hint="return an estimator of scikit-learn, LightGBM or XGBoost, an ONNX or PyTorch model, a RankingModel, a "
        "function of a frame, or an object with predict(frame), save(folder) and a class method load(folder)",
    )

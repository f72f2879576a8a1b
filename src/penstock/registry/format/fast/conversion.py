"""Models as ONNX: scikit-learn through skl2onnx, boosted trees through onnxmltools."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from penstock.registry.format.fast.one_hot import convert_one_hot, measure_one_hot
from penstock.registry.format.types import Column

MATRIX = "X"  # the one input of a model of numbers
_TEXT = ("string", "category")
_SPLIT_COUNTS_SINCE = 18  # the version of ONNX's operators in which Split has to be told how many parts there are


def convert_estimator(estimator: Any, columns: Sequence[Column], *, is_classifier: bool) -> bytes:
    """A scikit-learn estimator as ONNX: one float matrix, or an input for each column where some are text.

    Whatever the library raises for what it cannot convert passes through.
    """
    skl2onnx = import_module("skl2onnx")
    types = import_module("skl2onnx.common.data_types")
    by_name = any(column.type in _TEXT for column in columns) or _picks_by_name(estimator)
    if by_name:
        wanted = [
            (c.name, (types.StringTensorType if c.type in _TEXT else types.FloatTensorType)([None, 1])) for c in columns
        ]
    else:
        wanted = [(MATRIX, types.FloatTensorType([None, len(columns)]))]
    one_hot = import_module("sklearn.preprocessing").OneHotEncoder
    model = skl2onnx.convert_sklearn(
        estimator,
        name=type(estimator).__name__,  # else it makes one up, and the same model would give other bytes
        initial_types=wanted,
        options={"zipmap": False} if is_classifier else None,
        custom_conversion_functions={one_hot: convert_one_hot},
        custom_shape_calculators={one_hot: measure_one_hot},
    )
    if by_name and not any(column.type in _TEXT for column in columns):
        _take_matrix(model, columns)
    return _finish(model)


def convert_lightgbm(booster: Any, width: int) -> bytes:
    """A booster of LightGBM as ONNX."""
    onnxmltools = import_module("onnxmltools")
    types = import_module("onnxmltools.convert.common.data_types")
    lightgbm = import_module("lightgbm")
    whole = lightgbm.Booster(model_str=booster.model_to_string())
    wanted = [(MATRIX, types.FloatTensorType([None, width]))]
    return _finish(onnxmltools.convert_lightgbm(whole, initial_types=wanted, zipmap=False))


def convert_xgboost(booster: Any, width: int) -> bytes:
    """A booster of XGBoost as ONNX."""
    onnxmltools = import_module("onnxmltools")
    types = import_module("onnxmltools.convert.common.data_types")
    plain = booster.copy()
    plain.feature_names = None  # the converter knows f0, f1 ... only
    plain.feature_types = None
    wanted = [(MATRIX, types.FloatTensorType([None, width]))]
    return _finish(onnxmltools.convert_xgboost(plain, initial_types=wanted))


def _picks_by_name(estimator: Any) -> bool:
    """Whether a part of an estimator picks columns of a frame by their names."""
    if type(estimator).__name__ == "ColumnTransformer":
        return True
    parts: dict[str, Any] = getattr(estimator, "get_params", dict)()
    return any(type(part).__name__ == "ColumnTransformer" for part in parts.values())


def _take_matrix(model: Any, columns: Sequence[Column]) -> None:
    """Put one matrix in the place of an input for each column."""
    onnx = import_module("onnx")
    graph = model.graph
    known = {given.name for given in graph.input}
    names = [c.name if c.name in known else f"unused_{place}" for place, c in enumerate(columns)]
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    count = {"num_outputs": len(names)} if opset >= _SPLIT_COUNTS_SINCE else {}
    split = onnx.helper.make_node("Split", [MATRIX], names, axis=1, **count)
    if len(names) == 1:
        split = onnx.helper.make_node("Identity", [MATRIX], names)
    del graph.input[:]
    graph.input.append(onnx.helper.make_tensor_value_info(MATRIX, onnx.TensorProto.FLOAT, [None, len(names)]))
    graph.node.insert(0, split)


def _finish(model: Any) -> bytes:
    """The model with its numbers as the only output: nobody asks for the labels that stand before them."""
    outputs = model.graph.output
    last = outputs[len(outputs) - 1]
    del outputs[:-1]
    if last.name not in {output.name for output in outputs}:
        raise ValueError("the converted model has no output")
    content: bytes = model.SerializeToString()
    return content

"""What skl2onnx lacks of `OneHotEncoder`: a category that was never seen counts with those that were seldom seen."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

_UNKNOWN_IS_RARE = ("infrequent_if_exist", "warn")  # of `handle_unknown`


def convert_one_hot(scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes of one encoder, as a converter of skl2onnx.

    The column of rare categories is what the columns of the others leave of one.

    Raises:
        NotImplementedError: the encoder drops categories, all of a column are rare, or they are neither texts nor
            whole numbers.
    """
    encoder = operator.raw_operator
    if encoder.handle_unknown not in _UNKNOWN_IS_RARE:
        import_module("skl2onnx.common._registration").get_converter("SklearnOneHotEncoder")(scope, operator, container)
        return
    if encoder.drop is not None:
        raise NotImplementedError("an encoder that drops categories while unknown ones count with rare ones")
    onnx = import_module("onnx").TensorProto
    columns = _pick_columns(scope, operator, container)
    rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    parts = []
    for (name, is_text), categories, seldom in zip(columns, encoder.categories_, rare, strict=True):
        often = categories if seldom is None else categories[~np.isin(categories, seldom)]
        if not len(often):
            raise NotImplementedError("an encoder of a column whose categories are all rare")
        known = _encode(scope, container, name, often, is_text=is_text)
        parts.append(known)
        if seldom is not None:
            parts.append(_take_from_one(scope, container, known))
    joined = scope.get_unique_variable_name("one_hot")
    container.add_node("Concat", parts, joined, axis=-1)
    to = onnx.INT64 if np.issubdtype(encoder.dtype, np.signedinteger) else onnx.FLOAT
    container.add_node("Cast", joined, operator.outputs[0].full_name, to=to)


def measure_one_hot(operator: Any) -> None:
    """Say how wide the answer of an encoder is, as a shape calculator of skl2onnx."""
    encoder = operator.raw_operator
    types = import_module("skl2onnx.common.data_types")
    is_whole = np.issubdtype(encoder.dtype, np.signedinteger)
    shape = [operator.inputs[0].get_first_dimension(), len(encoder.get_feature_names_out())]
    operator.outputs[0].type = (types.Int64TensorType if is_whole else types.FloatTensorType)(shape)


def _pick_columns(scope: Any, operator: Any, container: Any) -> Iterator[tuple[str, bool]]:
    """Each column that the encoder is given, n x 1, and whether it holds text."""
    types = import_module("skl2onnx.common.data_types")
    for given in operator.inputs:
        is_text, width = isinstance(given.type, types.StringTensorType), given.get_second_dimension()
        for place in range(width):
            if width == 1:
                yield given.full_name, is_text
                continue
            index, column = scope.get_unique_variable_name("index"), scope.get_unique_variable_name("column")
            container.add_initializer(index, import_module("onnx").TensorProto.INT64, [1], [place])
            container.add_node("Gather", [given.full_name, index], column, axis=1)
            yield column, is_text


def _encode(scope: Any, container: Any, name: str, categories: Any, *, is_text: bool) -> str:
    """A column in zeros and ones, n x k; none is one where a value is none of the categories."""
    if is_text:
        known: dict[str, list[Any]] = {"cats_strings": [str(category).encode() for category in categories]}
    elif np.array_equal(categories, np.asarray(categories, dtype=np.float64).astype(np.int64)):
        known = {"cats_int64s": [int(category) for category in categories]}
        whole = scope.get_unique_variable_name("whole")
        container.add_node("Cast", name, whole, to=import_module("onnx").TensorProto.INT64)
        name = whole
    else:
        raise NotImplementedError("an encoder of categories that are neither texts nor whole numbers")
    encoded, shape = scope.get_unique_variable_name("encoded"), scope.get_unique_variable_name("shape")
    container.add_node("OneHotEncoder", name, encoded, op_domain="ai.onnx.ml", zeros=1, **known)
    flat: str = scope.get_unique_variable_name("flat")
    container.add_initializer(shape, import_module("onnx").TensorProto.INT64, [2], [-1, len(categories)])
    container.add_node("Reshape", [encoded, shape], flat)
    return flat


def _take_from_one(scope: Any, container: Any, known: str) -> str:
    """One where all other columns are zero, n x 1."""
    onnx = import_module("onnx").TensorProto
    axis, one = scope.get_unique_variable_name("axis"), scope.get_unique_variable_name("one")
    total = scope.get_unique_variable_name("total")
    left: str = scope.get_unique_variable_name("rare")
    container.add_initializer(axis, onnx.INT64, [1], [-1])
    container.add_initializer(one, onnx.FLOAT, [1, 1], [1.0])
    container.add_node("ReduceSum", [known, axis], total, keepdims=1)
    container.add_node("Sub", [one, total], left)
    return left

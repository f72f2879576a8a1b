"""PyTorch modules as ONNX; the one file that loads torch, which is not among penstock's extras."""

import io
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from penstock.core.errors import InvalidInputError

if TYPE_CHECKING:
    import polars as pl

_ROWS = 2


def is_module(model: object) -> bool:
    """Whether this is a PyTorch module."""
    return any(f"{kind.__module__}.{kind.__name__}" == "torch.nn.modules.module.Module" for kind in type(model).__mro__)


def export_module(module: Any, sample: "pl.DataFrame") -> bytes:
    """A module of one float tensor of shape (n, columns) as an ONNX model for any number of rows.

    Raises:
        InvalidInputError: the sample holds more than numbers, or torch cannot export the module.
    """
    torch = import_module("torch")
    strange = next((name for name in sample.columns if not sample[name].dtype.is_numeric()), None)
    if strange is not None:
        raise InvalidInputError(f"{strange}: a PyTorch module takes numbers, not {sample[strange].dtype}")
    example = torch.from_numpy(sample.head(_ROWS).to_numpy().astype("float32"))
    target = io.BytesIO()
    was_training = module.training
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is a newer exporter, and what it thinks of dynamic axes
            torch.onnx.export(
                module,
                (example,),
                target,
                input_names=["X"],
                output_names=["Y"],
                dynamic_axes={"X": {0: "n"}, "Y": {0: "n"}},
                dynamo=find_spec("onnxscript") is not None,  # which the newer exporter needs, and torch does not bring
            )
    except Exception as error:  # torch's exporters raise whatever their tracers meet
        raise InvalidInputError(f"this {type(module).__name__} cannot be exported to ONNX: {error}") from error
    finally:
        module.train(was_training)
    return target.getvalue()

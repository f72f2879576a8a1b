"""What is known of a saved model; records only, so that they are imported quickly."""

from typing import Any, Literal

from msgspec import Struct

from penstock.core.project.types import Task

FORMAT = 1  # of the `penstock` section in an MLmodel file
Label = bool | int | float | str
# `category` is a text that the model was fitted on as a polars Categorical; lists occur in outputs only.
ColumnType = Literal["string", "long", "double", "boolean", "datetime", "date", "category", "string[]", "double[]"]


class Column(Struct, frozen=True):
    """One column by name and type."""

    name: str
    type: ColumnType
    required: bool = True  # there has to be a value in every row


class Signature(Struct, frozen=True):
    """What a model takes and what it gives."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]


class FastForm(Struct, frozen=True, kw_only=True):
    """Whether a model was compiled to ONNX, and what came of it."""

    used: bool
    reason: str = ""  # why the model runs as it is
    rows: int = 0  # that both forms were compared on
    max_difference: float = 0.0  # of probabilities, or of predictions of a regression
    tolerance: float = 0.0  # the difference up to which the two are the same
    file: str = ""  # in the model directory
    digest: str = ""  # BLAKE3 of that file
    opset: int = 0

    def describe(self) -> str:
        """In a line: the form that runs, and why."""
        if not self.used:
            return f"as it is: {self.reason}"
        return f"ONNX: {self.rows:,} rows, greatest difference {self.max_difference:.1e}"


class ModelInfo(Struct, frozen=True, kw_only=True):
    """What stands in a model directory about the model; `flavor` says which reader it needs."""

    format: int = FORMAT
    flavor: str
    task: Task
    signature: Signature
    classes: tuple[Label, ...] = ()  # of binary and multiclass models, in the order of `probabilities`; [1] is positive
    label: str = ""  # the column it was trained to predict
    packages: dict[str, str] = {}  # package to version, as it was when the model was saved
    fast_form: FastForm | None = None  # None: nobody tried
    saved_by: str = "penstock"  # or `mlflow`
    options: dict[str, Any] = {}  # what the flavor keeps in the MLmodel file, as MLflow's flavor of that name does
    notes: tuple[str, ...] = ()  # what had to be guessed of a model that another tool saved


class ModelFacts(Struct, frozen=True):
    """What a model directory says about its model; what another tool left out is None or empty."""

    flavor: str = ""
    task: Task | None = None  # None: only the model itself can tell
    signature: Signature = Signature((), ())
    classes: tuple[Label, ...] = ()
    label: str = ""
    fast_form: FastForm | None = None

"""What is known of a saved model; records only, so that they are imported quickly."""

from typing import Literal

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


class ModelInfo(Struct, frozen=True, kw_only=True):
    """What stands in a model directory about the model; `flavor` says which reader it needs."""

    format: int = FORMAT
    flavor: str
    task: Task
    signature: Signature
    classes: tuple[Label, ...] = ()  # of binary and multiclass models, in the order of `probabilities`; [1] is positive
    label: str = ""  # the column it was trained to predict
    packages: dict[str, str] = {}  # package to version, as it was when the model was saved


class ModelFacts(Struct, frozen=True):
    """What a model directory says about its model; what another tool left out is None or empty."""

    flavor: str = ""
    task: Task | None = None  # None: not saved by penstock, and not served by it
    signature: Signature = Signature((), ())
    classes: tuple[Label, ...] = ()
    label: str = ""

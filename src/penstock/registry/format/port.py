"""What a flavor of models has to offer, and what is known of a saved model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import polars as pl
from msgspec import Struct

from penstock.core.project.types import Task
from penstock.registry.format.signature import Signature

FORMAT = 1  # of the `penstock` section in an MLmodel file
Label = bool | int | float | str


class ModelInfo(Struct, frozen=True, kw_only=True):
    """What stands in a model directory about the model; `flavor` says which reader it needs."""

    format: int = FORMAT
    flavor: str
    task: Task
    signature: Signature
    classes: tuple[Label, ...] = ()  # of binary and multiclass models, in the order of `probabilities`; [1] is positive
    label: str = ""  # the column it was trained to predict
    packages: dict[str, str] = {}  # package to version, as it was when the model was saved


class Predictor(Protocol):
    """A model in memory. Safe to call from several threads.

    Attributes:
        columns: the input columns, in the order the model wants them.
        classes: the classes, or empty.
    """

    @property
    def columns(self) -> Sequence[str]:
        """The input columns, in the order the model wants them."""
        ...

    @property
    def classes(self) -> Sequence[Label]:
        """The classes of a classifier; empty for other tasks."""
        ...

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The prediction frame for rows that have exactly the columns and types of the signature."""
        ...


class Flavor(Protocol):
    """Reads and writes one kind of model, without ever executing code that stands in the files.

    Attributes:
        name: stands in the MLmodel file.
        packages: what has to be installed to read it, pinned in requirements.txt.
    """

    name: str
    packages: tuple[str, ...]

    def adopt(self, model: object, task: Task, sample: pl.DataFrame) -> Predictor:
        """A trained model as a predictor; InvalidInputError when it cannot serve the task."""
        ...

    def save(self, predictor: Predictor, folder: Path) -> None:
        """Write the model's own files; InvalidInputError when it holds what may not be saved."""
        ...

    def load(self, folder: Path, info: ModelInfo) -> Predictor:
        """Read what `save` wrote.

        Raises:
            InvalidInputError: the files hold types that are not trusted.
            CorruptDataError: a file is missing or damaged.
        """
        ...

"""What a flavor of models has to offer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from penstock.core.project.types import Task
from penstock.registry.format.types import Label, ModelInfo


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
        executes: whether reading it runs code that stands in the files; only a process of its own may do that.
    """

    name: str
    packages: tuple[str, ...]
    executes: bool

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

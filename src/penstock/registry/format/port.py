"""What a flavor of models has to offer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from numpy.typing import NDArray

from penstock.core.project.types import Task
from penstock.registry.format.types import Column, Label, ModelInfo

if TYPE_CHECKING:  # slow to load, and the fast form has no need of it
    import polars as pl

Answer = dict[str, NDArray[Any]]  # columns of the prediction frame, all n long; `probabilities` is (n, classes)


class Predictor(Protocol):
    """A model in memory. Safe to call from several threads.

    One that also has `predict_arrays(matrix) -> Answer`, for a float matrix of shape (n, columns) in which NaN is a
    missing value, needs no frame where all its columns are numbers.

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

    def predict(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """The prediction frame for rows that have exactly the columns and types of the signature."""
        ...


class Guess(Struct, frozen=True):
    """What a model that another tool saved says of itself."""

    task: Task
    inputs: tuple[Column, ...]  # empty: it does not say
    classes: tuple[Label, ...] = ()
    with_chances: bool = True  # whether a classifier gives probabilities


class Flavor(Protocol):
    """Reads and writes one kind of model.

    Attributes:
        name: stands in the MLmodel file.
        packages: what has to be installed to read it, pinned in requirements.txt.
        executes: whether reading it runs code that stands in the files; only a process of its own may do that.
    """

    name: str
    packages: tuple[str, ...]
    executes: bool

    def adopt(self, model: object, task: Task, sample: "pl.DataFrame") -> Predictor:
        """A trained model as a predictor; InvalidInputError when it cannot serve the task."""
        ...

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Write the model's own files; InvalidInputError when it holds what may not be saved.

        Returns:
            What `open` has to know, under the names that MLflow's flavor of this name uses; empty where it has none.
        """
        ...

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The model of a directory as its library knows it.

        Args:
            folder: the directory.
            options: what `save` returned, or what MLflow wrote.

        Raises:
            InvalidInputError: the files hold types that are not trusted.
            CorruptDataError: a file is missing or damaged.
        """
        ...

    def guess(self, model: Any) -> Guess:
        """What an opened model that another tool saved can tell of itself."""
        ...

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """An opened model as a predictor."""
        ...

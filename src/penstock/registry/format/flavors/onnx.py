"""ONNX models, and PyTorch modules, which are exported to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.flavors.torch_export import export_module, is_module
from penstock.registry.format.foreign import number_columns
from penstock.registry.format.model_files import find_file
from penstock.registry.format.onnx_predictor import OnnxPredictor, takes_matrix, to_matrix
from penstock.registry.format.onnx_session import Session
from penstock.registry.format.port import Flavor, Guess, Predictor
from penstock.registry.format.types import Column, ColumnType, Label, ModelInfo

if TYPE_CHECKING:
    import polars as pl

FILE = "model.onnx"
_CHECKED_ROWS = 1_000
_NEAR_ONE = 1e-3


class _Given:
    """An ONNX model with the bytes it came as."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.session = Session(content)


class OnnxFlavor:
    """Reads and writes ONNX models; onnxruntime runs no code that stands in them."""

    name = "onnx"
    packages: tuple[str, ...] = ("penstock", "onnxruntime", "numpy", "polars")
    executes = False

    def adopt(self, model: Any, task: Task, sample: "pl.DataFrame") -> Predictor:
        """A `ModelProto`, or a PyTorch module, with probabilities as its outputs where it classifies.

        Raises:
            InvalidInputError: its inputs do not fit the sample, or its outputs the task.
        """
        content = export_module(model, sample) if is_module(model) else model.SerializeToString()
        given = _Given(content)
        predictor = _SavedPredictor(given, task, _columns(given.session, sample), _classes(model, given.session, task))
        _check_outputs(predictor, task, sample)
        return predictor

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Write the model."""
        if not isinstance(predictor, _SavedPredictor):
            raise TypeError(f"{type(predictor).__name__} is no ONNX model")
        (folder / FILE).write_bytes(predictor.content)
        return {"data": FILE, "providers": ["CPUExecutionProvider"], "onnx_session_options": None}

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The model as a session; weights that stand in files of their own are found beside it."""
        return Session(find_file(folder, options.get("data", FILE)))

    def guess(self, model: Any) -> Guess:
        """The task from the outputs: labels with numbers or probabilities are a classifier's."""
        inputs = _inputs(model)
        probe = _probe(model, inputs)
        values = to_matrix(model.run(model.output, probe)) if probe is not None else np.zeros((1, 1))
        width = values.shape[1] if values.ndim == 2 else 1
        if width == 1 and model.labels is None:
            return Guess("regression", inputs)
        if model.labels is None and abs(values.sum() - 1) > _NEAR_ONE:
            raise InvalidInputError(f"the ONNX model gives {width} numbers a row, and they are no probabilities")
        classes = _classes_of(model, probe, width)
        return Guess("binary" if len(classes) == 2 else "multiclass", inputs, classes)

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The session as a predictor."""
        try:
            return OnnxPredictor(model, info.task, info.signature.inputs, info.classes)
        except InvalidInputError as error:
            raise CorruptDataError(str(error)) from error


class _SavedPredictor(OnnxPredictor):
    def __init__(self, given: _Given, task: Task, columns: tuple[Column, ...], classes: tuple[Label, ...]) -> None:
        super().__init__(given.session, task, columns, classes)
        self.content = given.content


FLAVOR: Flavor = OnnxFlavor()


def _columns(session: Session, sample: "pl.DataFrame") -> tuple[Column, ...]:
    """The columns of a sample that the inputs take: of the same names, or all for one matrix."""
    if takes_matrix(session):
        names = sample.columns
        if session.width not in (None, len(names)):
            raise InvalidInputError(
                f"the ONNX model takes {session.width} columns and the sample has {len(names)}", field="sample"
            )
        return tuple(Column(name, "double") for name in names)
    missing = [name for name in session.inputs if name not in sample.columns]
    if missing:
        raise InvalidInputError(f"the sample lacks {', '.join(map(repr, missing))}", field="sample")
    return tuple(Column(name, _type_of(dtype)) for name, dtype in session.inputs.items())


def _inputs(session: Session) -> tuple[Column, ...]:
    if takes_matrix(session):
        dtype = next(iter(session.inputs.values()))
        return number_columns(session.width) if session.width and dtype is not object else ()
    if any(len(shape) > 2 or (len(shape) == 2 and shape[1] not in (1, None)) for shape in session.shapes.values()):
        return ()
    return tuple(Column(name, _type_of(dtype)) for name, dtype in session.inputs.items())


def _type_of(dtype: Any) -> ColumnType:
    if dtype is object:
        return "string"
    if dtype is np.bool_:
        return "boolean"
    return "long" if np.issubdtype(dtype, np.integer) else "double"


def _probe(session: Session, inputs: tuple[Column, ...]) -> dict[str, Any] | None:
    """A row of nothing, to see what comes out; None where the inputs are not known."""
    if not inputs:
        return None
    width = len(inputs) if takes_matrix(session) else 1
    row = {}
    for name, dtype in session.inputs.items():
        shape = (1,) if len(session.shapes[name]) == 1 else (1, width)
        row[name] = np.full(shape, "", dtype=object) if dtype is object else np.zeros(shape, dtype)
    return row


def _classes(model: Any, session: Session, task: Task) -> tuple[Label, ...]:
    """The classes of a model that is saved, as its nodes name them; 0, 1 ... where they do not."""
    if task not in ("binary", "multiclass"):
        return ()
    nodes = () if is_module(model) else model.graph.node
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.name == "classlabels_strings" and attribute.strings:
            return tuple(text.decode() for text in attribute.strings)
        if attribute.name in ("classlabels_int64s", "classlabels_ints") and attribute.ints:
            return tuple(attribute.ints)
    probe = _probe(session, _inputs(session))
    values = to_matrix(session.run(session.output, probe)) if probe is not None else np.zeros((1, 2))
    return tuple(range(max(2, values.shape[1] if values.ndim == 2 else 1)))


def _classes_of(session: Session, probe: dict[str, Any] | None, width: int) -> tuple[Label, ...]:
    """The classes of a model that another tool saved: the keys of its probabilities, else 0, 1 ..."""
    output = session.run(session.output, probe) if probe is not None else None
    if isinstance(output, list) and output:
        return tuple(sorted(output[0]))
    if session.labels is not None and probe is not None:
        label = np.asarray(session.run(session.labels, probe)).ravel()
        if label.dtype.kind in "OUS":
            raise InvalidInputError(
                "the ONNX model gives labels as text and does not say in which order its probabilities stand",
                hint="convert it with the option zipmap, or save it with penstock",
            )
    return tuple(range(max(2, width)))


def _check_outputs(predictor: OnnxPredictor, task: Task, sample: "pl.DataFrame") -> None:
    """Refuse a classifier whose outputs are no probabilities."""
    if task == "ranking":
        raise InvalidInputError("an ONNX model cannot serve the task 'ranking'", field="task")
    answer = predictor.predict(sample.select(predictor.columns).head(_CHECKED_ROWS))
    name = {"binary": "score", "multiclass": "probabilities"}.get(task)
    if name is None:
        return
    values = np.array(answer[name].to_list(), dtype=np.float64)
    adds_up = task == "binary" or bool((np.abs(values.sum(axis=-1) - 1) < _NEAR_ONE).all())
    if not adds_up or not bool(((values >= 0) & (values <= 1)).all()):
        raise InvalidInputError(
            f"the model's outputs are no probabilities, and the task {task!r} needs them",
            hint="end it in a sigmoid or a softmax",
            field="task",
        )

"""Model directories that MLflow saved: which flavor reads them, and what can be said of their columns and task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.golden import Rows
from penstock.registry.format.model_files import read_file
from penstock.registry.format.port import Guess
from penstock.registry.format.signature_file import read_signature
from penstock.registry.format.types import Column, ColumnType, Label, ModelInfo, Signature

_EXAMPLE = "saved_input_example_info"


def read_foreign(content: dict[str, Any], folder: Path) -> ModelInfo:
    """What an MLmodel file without a section of ours says; `complete` adds what the model knows.

    Raises:
        InvalidInputError: no flavor here reads it.
        CorruptDataError: a section is no section.
    """
    flavors = content["flavors"]
    for name, section in flavors.items():
        if not isinstance(section, dict):
            raise CorruptDataError(f"the section {name!r} of the MLmodel file in {folder} is damaged")
    flavor, options = _choose(flavors, folder)
    signature = read_signature(content.get("signature"))
    return ModelInfo(flavor=flavor, task="regression", signature=signature, saved_by="mlflow", options=options)


def complete(info: ModelInfo, guess: Guess, folder: Path) -> ModelInfo:
    """The same with the task, classes and columns that the opened model tells of itself.

    Raises:
        InvalidInputError: nothing says which columns it takes.
    """
    inputs, notes = info.signature.inputs, [f"its task is taken to be {guess.task!r}"]
    if not inputs:
        if not guess.inputs:
            raise InvalidInputError(
                f"the model in {folder} has no signature, and does not say which columns it takes",
                hint="save it with mlflow's `signature` or `input_example`",
            )
        inputs = guess.inputs
        notes.append(f"it has no signature of plain columns and is given {len(inputs)} columns of its own telling")
    elif len(inputs) == len(guess.inputs) and all(c.name == f"x{p}" for p, c in enumerate(inputs)):
        inputs = tuple(structs.replace(c, name=own.name) for c, own in zip(inputs, guess.inputs, strict=True))
    outputs = outputs_of(guess.task, guess.classes, with_chances=guess.with_chances)
    if info.flavor == "python_function" and info.signature.outputs:  # whatever it gives, the first of it is served
        outputs = (structs.replace(info.signature.outputs[0], name="prediction"),)
    return structs.replace(
        info, task=guess.task, classes=guess.classes, signature=Signature(inputs, outputs), notes=tuple(notes)
    )


def number_columns(count: int, names: Sequence[str] | None = None) -> tuple[Column, ...]:
    """Columns of numbers, x0, x1 ... where they have no names; what may be missing is for the model to say."""
    found = names if names is not None and len(names) == count else [f"x{place}" for place in range(count)]
    return tuple(Column(str(name), "double", required=False) for name in found)


def outputs_of(task: Task, classes: Sequence[Label], *, with_chances: bool = True) -> tuple[Column, ...]:
    """The columns of the prediction frame of a task."""
    if task not in ("binary", "multiclass"):
        return (Column("prediction", "double"),)
    kinds: dict[type, ColumnType] = {bool: "boolean", int: "long", float: "double"}
    prediction = Column("prediction", kinds.get(type(classes[0]), "string") if classes else "string")
    if not with_chances:
        return (prediction,)
    return (prediction, Column("score", "double") if task == "binary" else Column("probabilities", "double[]"))


def read_example(content: dict[str, Any], folder: Path, names: Sequence[str]) -> Rows | None:
    """The input example that MLflow keeps beside a model, as columns; None where there is none of rows."""
    note = content.get(_EXAMPLE)
    if not isinstance(note, dict) or not isinstance(note.get("artifact_path"), str):
        return None
    try:
        held = msgspec.json.decode(read_file(folder, note["artifact_path"]))
    except (msgspec.DecodeError, CorruptDataError):
        return None
    rows = held
    if isinstance(held, dict):
        rows, names = held.get("data", held.get("inputs")), held.get("columns", names)
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return {str(name): [row[place] for row in rows] for place, name in enumerate(names)} if rows else None


def _choose(flavors: dict[str, dict[str, Any]], folder: Path) -> tuple[str, dict[str, Any]]:
    """The flavor that reads a directory, and what it has to know. One that executes nothing goes first."""
    if (section := flavors.get("onnx")) is not None:
        return "onnx", section
    if (section := flavors.get("xgboost")) is not None:
        return "xgboost", section
    for name, key in (("lightgbm", "data"), ("sklearn", "pickled_model")):
        section = flavors.get(name)
        if section is None:
            continue
        is_native = name == "lightgbm" and section.get("model_class", _BOOSTER) == _BOOSTER
        if is_native or section.get("serialization_format") == "skops":
            return name, section
        return "pickle", {"file": section.get(key), "code": section.get("code")}
    if (section := flavors.get("python_function")) is not None:
        return "python_function", section
    raise InvalidInputError(
        f"the model in {folder} has only the flavors {', '.join(map(str, flavors))}",
        hint="load it with the library that saved it, and save it with penstock",
    )


_BOOSTER = "lightgbm.basic.Booster"

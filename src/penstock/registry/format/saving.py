"""Writes a trained model as a model directory."""

from pathlib import Path

import polars as pl
from msgspec import structs

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format import golden
from penstock.registry.format.alone import check_alone
from penstock.registry.format.fast.making import make_fast_form
from penstock.registry.format.frames import to_frame, to_rows
from penstock.registry.format.loaded import check_golden, load_model
from penstock.registry.format.mlmodel import installed_versions, write_mlmodel
from penstock.registry.format.open import find_flavor
from penstock.registry.format.port import Predictor
from penstock.registry.format.signature import cast, infer_columns
from penstock.registry.format.types import ModelInfo, Signature


def save_model(model: object, folder: Path, *, task: Task, sample: pl.DataFrame, label: str = "") -> ModelInfo:
    """Write a model directory that penstock and MLflow can load.

    The model is read back at once, and has to answer the golden rows as it did before. Where it can be compiled to
    ONNX, and answers alike on all rows of the sample, that form is kept beside it.

    Args:
        model: a fitted estimator of scikit-learn, LightGBM or XGBoost, or a booster; an ONNX `ModelProto`; a PyTorch
            module; a `RankingModel`; a function of a frame or a `FunctionModel`; an object with predict(frame),
            save(folder) and a class method load(folder).
        folder: absent or empty.
        task: what the model is for.
        sample: hundreds or thousands of rows as they will come; they decide column types, which may be missing, and
            whether the fast form is as good.
        label: the column the model predicts; not an input.

    Raises:
        InvalidInputError: the model cannot be saved safely or does not fit the task or sample.
    """
    _check_folder(folder)
    flavor = find_flavor(model)
    rows = sample.drop(label, strict=False) if label else sample
    predictor = flavor.adopt(model, task, rows)
    rows = rows.select(_known(rows, predictor))
    inputs = infer_columns(rows)
    chosen = to_frame(_through_json(to_rows(rows[list(golden.choose_places(rows.height))])))
    answers = predictor.predict(cast(chosen, inputs))
    info = ModelInfo(
        flavor=flavor.name,
        task=task,
        signature=Signature(inputs, infer_columns(answers)),
        classes=tuple(predictor.classes) if task in ("binary", "multiclass") else (),
        label=label,
        packages=installed_versions(flavor.packages),
    )
    folder.mkdir(parents=True, exist_ok=True)
    info = structs.replace(info, options=flavor.save(predictor, folder))
    golden.write_golden(folder, golden.Golden(to_rows(chosen), to_rows(answers)))
    info = structs.replace(info, fast_form=make_fast_form(predictor, info, rows, folder))
    write_mlmodel(folder, info)
    if flavor.executes:
        check_alone(folder)
    else:
        check_golden(load_model(folder, fast=False))
    return info


def _through_json(rows: golden.Rows) -> golden.Rows:
    """Rows as they come back from a file."""
    return codec.decode(codec.encode(rows), golden.Rows)


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"{folder} is there already", hint="name a new folder", field="folder")


def _known(rows: pl.DataFrame, predictor: Predictor) -> list[str]:
    missing = [name for name in predictor.columns if name not in rows.columns]
    if missing:
        raise InvalidInputError(f"the sample lacks {', '.join(map(repr, missing))}", field="sample")
    if rows.height == 0:
        raise InvalidInputError("the sample has no rows", hint="give some hundred typical rows", field="sample")
    return list(predictor.columns)

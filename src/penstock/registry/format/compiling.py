"""Compiles a model directory that is there already into one that has a fast form; the first stays as it is."""

import shutil
from pathlib import Path

import polars as pl
from msgspec import structs

from penstock.core.errors import InvalidInputError
from penstock.core.plain_yaml import load_yaml
from penstock.registry.format import golden
from penstock.registry.format.fast.making import make_fast_form
from penstock.registry.format.foreign import read_example
from penstock.registry.format.frames import to_frame, to_rows
from penstock.registry.format.loaded import LoadedModel, check_golden, load_model
from penstock.registry.format.mlmodel import FILE, add_section, installed_versions
from penstock.registry.format.open import open_flavor
from penstock.registry.format.signature import cast
from penstock.registry.format.types import ModelInfo
from penstock.registry.signing.manifest import FILE as SIGNATURE_FILE


def compile_model(source: Path, target: Path, sample: pl.DataFrame | None = None) -> ModelInfo:
    """Write a copy of a model directory with a fast form, where the model has one.

    A directory of MLflow gets golden rows and a section of ours. Nothing in the directory is executed.

    Args:
        source: a directory of penstock or MLflow.
        target: absent.
        sample: real rows, which both forms have to answer alike; None for those that are kept with the model.

    Raises:
        NeedsItsOwnProcessError: it can only be loaded by running code that stands in it.
        InvalidInputError: it cannot be loaded, the target is there, or there are no rows.
        CorruptDataError: a file is missing or damaged.
    """
    if target.exists():
        raise InvalidInputError(f"{target} is there already", hint="name a new folder", field="target")
    model = load_model(source, fast=False)
    check_golden(model)
    rows = _find_rows(model) if sample is None else sample
    if rows.height == 0:
        raise InvalidInputError("the sample has no rows", hint="give some hundred typical rows", field="sample")
    given = cast(rows, model.signature.inputs)
    _copy(source, target)
    if model.info.fast_form is not None and model.info.fast_form.file:
        (target / model.info.fast_form.file).unlink(missing_ok=True)
    info = model.info
    if info.saved_by != "penstock":
        packages = installed_versions(open_flavor(info.flavor).packages)
        info = structs.replace(info, saved_by="penstock", packages=packages)
        chosen = given[list(golden.choose_places(given.height))]
        golden.write_golden(target, golden.Golden(to_rows(chosen), to_rows(model.predict(chosen))))
    info = structs.replace(info, fast_form=make_fast_form(model.predictor, info, given, target))
    add_section(target, info)
    check_golden(load_model(target))
    return info


def _copy(source: Path, target: Path) -> None:
    """The content of all files, as a sandbox lets nobody set times and modes; a signature speaks for other files."""
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_file() and path.name != SIGNATURE_FILE:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _find_rows(model: LoadedModel) -> pl.DataFrame:
    """The rows that are kept with a model: golden ones, or the input example of MLflow."""
    if model.info.saved_by == "penstock":
        return to_frame(golden.read_golden(model.folder).inputs)
    names = [column.name for column in model.signature.inputs]
    found = read_example(load_yaml((model.folder / FILE).read_text()), model.folder, names)
    if found is None:
        raise InvalidInputError(
            f"the model in {model.folder} has no input example", hint="give real rows as a sample", field="sample"
        )
    return to_frame(found)

"""Schemas of pandera as checks: a `DataFrameModel` or a `DataFrameSchema`, for polars or for pandas, as it is."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.memory import available_bytes
from penstock.datasets.checks.findings import SAMPLES, Subject, judge, locate, verdict
from penstock.datasets.frames.table import Table
from penstock.datasets.frames.values import shorten, to_value
from penstock.datasets.types import CheckResult, Sample

_COPIES = {"polars": 4, "pandas": 7}  # of the rows, that are in memory while a schema looks at them; measured
_INSTALL = "pip install 'pandera[polars]'"


def check_with_pandera(table: Table, reference: str, root: Path, rows: Mapping[str, int]) -> Iterator[CheckResult]:
    """What a schema finds, a result for each of its rules that fails, or one for all of them where none does.

    A schema is given all rows at once, as its rules may look at any of them; so they have to fit into memory several
    times over. That is looked at first, as a process that takes more than there is would be killed without a word.

    Args:
        table: the rows.
        reference: `module:object`.
        root: the folder that the module is found from.
        rows: how many rows each file has, by its path.

    Raises:
        NotFoundError: no such module, or nothing of this name in it.
        InvalidInputError: it is no schema, pandera is not installed, or the rows do not fit into memory.
    """
    with _importing_from(root):
        schema = _load_schema(reference, root)
        _check_room(table, reference, sum(rows.values()), _COPIES["pandas" if _is_for_pandas(schema) else "polars"])
        failures = _validate(schema, reference, table.collect())
    if failures is None:
        told = f"the rows are as {reference} says"
        yield CheckResult(name=f"pandera {reference}", column=None, action="block", passed=True, message=told)
        return
    total = sum(rows.values())
    for (column, rule), cases in failures.group_by(["column", "check"], maintain_order=True):
        yield _tell(reference, str(column), str(rule), cases, rows, total)


def _check_room(table: Table, reference: str, rows: int, copies: int) -> None:
    """Refuse more rows than there is memory for, as far as the first ones tell how large they are."""
    first = next(table.batches(), None)
    free = available_bytes()
    if first is None or free is None:
        return
    needed = int(first.frame.estimated_size() / first.frame.height * rows * copies)
    if needed > free:
        raise InvalidInputError(
            f"{reference} looks at all {rows:,} rows at once, which takes some {needed / 2**30:,.1f} GiB of memory, "
            f"and {free / 2**30:,.1f} GiB are free",
            hint="write its rules as [[data.NAME.check]] tables: those read a batch at a time, whatever the size",
        )


def _tell(
    reference: str, column: str, rule: str, cases: pl.DataFrame, rows: Mapping[str, int], total: int
) -> CheckResult:
    name = f"{column} {rule}"
    places = (
        cases.filter(pl.col("index").is_not_null()).unique("index", keep="first", maintain_order=True).sort("index")
    )
    if not places.height:
        found = to_value(cases.item(0, "failure_case"))
        return verdict(name, column, "block", f"{reference} asks for {rule} of {column}, and found {shorten(found)}")
    samples = tuple(
        Sample(*locate(int(index), rows), shorten(to_value(value)))
        for index, value in places.select("index", "failure_case").head(SAMPLES).iter_rows()
    )
    subject = Subject(name=name, column=column, columns=(), told=f"{column} must meet {rule} of {reference}")
    return judge(subject, places.height, total, samples)


def _load_schema(reference: str, root: Path) -> Any:
    name, _, attribute = reference.partition(":")
    module = _load_module(name, root)
    if not hasattr(module, attribute):
        known = [each for each in vars(module) if not each.startswith("_")]
        raise NotFoundError(f"{name} has no {attribute!r}", hint=nearest_hint(attribute, known))
    schema = getattr(module, attribute)
    if not callable(getattr(schema, "validate", None)):
        raise InvalidInputError(f"{reference} is no schema of pandera: it cannot validate")
    return schema


def _load_module(name: str, root: Path) -> ModuleType:
    """A module of the project, run anew: another project may have one of the same name."""
    path = root.joinpath(*name.split(".")).with_suffix(".py")
    if not path.is_file():
        raise NotFoundError(f"there is no module {name!r} in {root}", hint=f"write {path.name} there")
    spec = importlib.util.spec_from_file_location(f"_penstock_schema_{name.replace('.', '_')}", path)
    if spec is None or spec.loader is None:
        raise NotFoundError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # classes look up the module that they were made in
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        hint = _INSTALL if (error.name or "").partition(".")[0] == "pandera" else f"install {error.name}"
        raise InvalidInputError(f"{path.name} needs {error.name}, which is not installed", hint=hint) from error
    except Exception as error:  # whatever somebody's module raises is a mistake to be told
        raise InvalidInputError(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
    return module


@contextmanager
def _importing_from(root: Path) -> Iterator[None]:
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _validate(schema: Any, reference: str, frame: pl.DataFrame) -> pl.DataFrame | None:
    """The failures, a row each with column, check, failure_case and index; None where there are none."""
    errors = importlib.import_module("pandera.errors")
    try:
        schema.validate(_to_pandas(frame) if _is_for_pandas(schema) else frame, lazy=True)
    except errors.SchemaErrors as error:
        return _plain(error.failure_cases)
    except Exception as error:  # a rule may fail in any way
        raise InvalidInputError(f"{reference} cannot be applied: {type(error).__name__}: {error}") from error
    return None


def _is_for_pandas(schema: Any) -> bool:
    kinds = schema.__mro__ if isinstance(schema, type) else type(schema).__mro__
    return any(kind.__module__.startswith("pandera.api.pandas") for kind in kinds)


def _to_pandas(frame: pl.DataFrame) -> Any:
    try:
        return frame.to_pandas()
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            f"a schema for pandas needs {error.name}, which is not installed", hint="pip install 'penstock[pandas]'"
        ) from error


def _plain(cases: Any) -> pl.DataFrame:
    if isinstance(cases, pl.DataFrame):
        return cases
    records = cases.astype(object).where(cases.notna(), None).to_dict("list")
    texts = {
        name: [None if v is None else v if name == "index" else str(v) for v in values]
        for name, values in records.items()
    }
    types = {name: pl.Int64 if name == "index" else pl.String for name in texts}
    return pl.DataFrame(texts, schema=types, strict=False)

"""Makes the fast form of a model, and lets it be used only where it answers as the model does on real rows."""

import functools
import logging
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from blake3 import blake3
from msgspec import structs
from numpy.typing import NDArray

from penstock.core.errors import PenstockError
from penstock.registry.format import golden
from penstock.registry.format.fast.conversion import convert_estimator, convert_lightgbm, convert_xgboost
from penstock.registry.format.fast.limit import LimitError, run_limited
from penstock.registry.format.fast.refusals import find_refusal
from penstock.registry.format.open import open_onnx
from penstock.registry.format.port import Predictor
from penstock.registry.format.signature import cast
from penstock.registry.format.types import FastForm, ModelInfo

log = logging.getLogger(__name__)

FILE = "penstock/fast.onnx"
PROBABILITY_TOLERANCE = 1e-5
SPREAD_TOLERANCE = 1e-4  # of a regression, in standard deviations of its predictions
LIMIT_S = 120.0
_BLOCK = 20_000  # rows that are compared at once
_RARE_ROWS = 100  # in which a column is left out that may be missing, or holds a text nobody has seen
_UNSEEN = "a text that no row of any sample has"

Convert = Callable[[], bytes]


def make_fast_form(predictor: Predictor, info: ModelInfo, sample: pl.DataFrame, folder: Path) -> FastForm:
    """Compile a model to ONNX, compare both forms on every row of a sample, and write the file if they agree.

    It never raises: what went wrong is the reason that the answer gives.

    Args:
        predictor: the model as it is.
        info: what is known of it.
        sample: real rows with the columns of the signature.
        folder: the model's directory, with its golden rows.
    """
    try:
        return _make(predictor, info, sample, folder)
    except (PenstockError, ArithmeticError, ValueError, TypeError, RuntimeError, MemoryError, OSError) as error:
        log.info("a model was not compiled: %s", error, extra={"flavor": info.flavor})
        (folder / FILE).unlink(missing_ok=True)
        return FastForm(used=False, reason=_shorten(str(error)))


def _make(predictor: Predictor, info: ModelInfo, sample: pl.DataFrame, folder: Path) -> FastForm:
    convert, refusal = _find_conversion(predictor, info)
    if convert is None:
        return FastForm(used=False, reason=refusal)
    try:
        content = run_limited(convert, LIMIT_S)
    except LimitError as error:
        return FastForm(used=False, reason=_shorten(f"it cannot be converted to ONNX: {error.message}"))
    form = FastForm(used=True, file=FILE, digest=blake3(content).hexdigest(), opset=_opset(content))
    (folder / FILE).parent.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(content)
    form = _compare(predictor, open_onnx().open_fast(folder, form, info), info, sample, form)
    form = _check_golden(form, info, folder) if form.used else form
    if not form.used:
        (folder / FILE).unlink()
    return form


def _find_conversion(predictor: Any, info: ModelInfo) -> tuple[Convert | None, str]:
    """What converts a model, or why nothing does."""
    columns = info.signature.inputs
    if info.flavor in ("penstock_ranking", "penstock_code"):
        return None, "a ranking model has no ONNX form" if info.flavor == "penstock_ranking" else "it is Python code"
    if info.flavor == "onnx":
        return None, "it is ONNX already"
    lacking = next((name for name in _needed(info.flavor) if not _is_installed(name)), None)
    if lacking is not None:
        extra = "boost" if lacking == "onnxmltools" else "onnx"
        return None, f"{lacking} is not installed; pip install 'penstock[{extra}]'"
    if info.flavor == "lightgbm":
        return functools.partial(convert_lightgbm, predictor.model, len(columns)), ""
    if info.flavor == "xgboost":
        return functools.partial(convert_xgboost, predictor.booster, len(columns)), ""
    strange = next((c for c in columns if c.type in ("datetime", "date")), None)
    if strange is not None:
        return None, f"the column {strange.name!r} holds times"
    if refusal := find_refusal(predictor.estimator):
        return None, refusal
    classifies = info.task in ("binary", "multiclass")
    if classifies and not hasattr(predictor.estimator, "predict_proba"):
        return None, "it gives no probabilities to compare"
    return functools.partial(convert_estimator, predictor.estimator, columns, is_classifier=classifies), ""


def _needed(flavor: str) -> tuple[str, ...]:
    return ("onnxruntime", "skl2onnx") if flavor == "sklearn" else ("onnxruntime", "onnxmltools")


def _is_installed(name: str) -> bool:
    return find_spec(name) is not None


def _compare(slow: Predictor, fast: Any, info: ModelInfo, sample: pl.DataFrame, form: FastForm) -> FastForm:
    """The form with what the comparison found; not used where it differs."""
    rows = _with_rare(cast(sample, info.signature.inputs), info)
    before, after, other_labels = [], [], 0
    for start in range(0, rows.height, _BLOCK):
        block = rows.slice(start, _BLOCK)
        expected, got = slow.predict(block), fast.predict(block)
        numbers, fast_numbers = _numbers(expected, info), _numbers(got, info)
        before.append(numbers)
        after.append(fast_numbers)
        if info.task in ("binary", "multiclass"):
            differ = (expected["prediction"] != got["prediction"]).to_numpy()
            other_labels += int((differ & ~_are_ties(numbers)).sum())
    expected_all, got_all = np.concatenate(before), np.concatenate(after)
    if expected_all.shape != got_all.shape:
        return FastForm(used=False, reason=f"its ONNX form gives {got_all.shape} and not {expected_all.shape}")
    differences = np.abs(expected_all - got_all).reshape(rows.height, -1).max(axis=1)
    differences[np.isnan(expected_all).reshape(rows.height, -1).any(axis=1) | np.isnan(differences)] = np.inf
    is_probability = info.task in ("binary", "multiclass")
    tolerance = PROBABILITY_TOLERANCE if is_probability else SPREAD_TOLERANCE * max(float(expected_all.std()), 1e-9)
    greatest, beyond = float(differences.max()), int((differences > tolerance).sum())
    found = structs.replace(
        form, rows=rows.height, tolerance=tolerance, max_difference=min(greatest, float(np.finfo(np.float64).max))
    )
    if beyond or other_labels:
        what = "probabilities" if is_probability else "predictions"
        reason = f"{beyond:,} of {rows.height:,} rows get other {what} as ONNX (greatest difference {greatest:.1e})"
        if not beyond:
            reason = f"{other_labels:,} of {rows.height:,} rows get another label as ONNX"
        return structs.replace(found, used=False, reason=reason, file="", digest="")
    return found


def _check_golden(form: FastForm, info: ModelInfo, folder: Path) -> FastForm:
    """Let the form answer the golden rows as every load will."""
    held = golden.read_golden(folder)
    answered = open_onnx().open_fast(folder, form, info).predict_rows(held.inputs)
    difference = golden.find_difference(held.outputs, answered, form.tolerance)
    if not difference:
        return form
    return structs.replace(form, used=False, reason=f"as ONNX, {difference}", file="", digest="")


def _with_rare(rows: pl.DataFrame, info: ModelInfo) -> pl.DataFrame:
    """The rows, and some again with each column left out that may be missing, and with a text nobody has seen."""
    some = rows.gather_every(max(1, rows.height // _RARE_ROWS)).head(_RARE_ROWS)
    changed = []
    for column in info.signature.inputs:
        dtype = rows.schema[column.name]
        if not column.required:
            changed.append(some.with_columns(pl.lit(None, dtype=dtype).alias(column.name)))
        if column.type == "string":
            changed.append(some.with_columns(pl.lit(_UNSEEN).alias(column.name)))
    return pl.concat([rows, *changed])


def _numbers(answer: pl.DataFrame, info: ModelInfo) -> NDArray[np.float64]:
    """What is compared: scores, probabilities, or the predictions of a regression."""
    name = {"binary": "score", "multiclass": "probabilities"}.get(info.task, "prediction")
    return np.array(answer[name].to_list(), dtype=np.float64)


def _are_ties(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows whose two likeliest classes lie so close together that either may be named."""
    if numbers.ndim == 1:
        return np.abs(numbers - 0.5) <= PROBABILITY_TOLERANCE
    best = np.sort(numbers, axis=1)
    return best[:, -1] - best[:, -2] <= PROBABILITY_TOLERANCE


def _opset(content: bytes) -> int:
    onnx = import_module("onnx")
    model = onnx.load_from_string(content)
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "..."

"""Estimators as skops files: the same bytes for the same estimator, and only types that are known to be harmless."""

import io
import json
import re
import zipfile
from typing import Any

import skops.io
from skops.io.exceptions import UnsupportedTypeException

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.registry.format.flavors.tree_bounds import check_trees

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say
_ADDRESS = re.compile(r'("__id__": |"file": ")(\d+)')
# A class of these libraries does nothing by being created; most of them skops trusts by itself.
_CLASS = re.compile(
    r"(sklearn|numpy|scipy)(\.\w+)*\._?[A-Z]\w*|lightgbm\.sklearn\.LGBM[A-Z]\w*|lightgbm\.basic\.Booster"
)
_APART = re.compile(r"\.(tests?|_?testing|datasets|externals|f2py|distutils|_mocking)\.")
_FUNCTIONS = frozenset(
    {
        "collections.OrderedDict",
        "functools.partial",  # of another function of this list: skops audits what it holds
        "numpy.dtype",
        "numpy.mean",
        "numpy.median",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.sparse._csr.csr_matrix",
        "scipy.sparse._csc.csc_matrix",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.utils.validation.check_array",
    }
)


def is_trusted(name: str) -> bool:
    """Whether a type or function that skops would not trust by itself may stand in a model."""
    return name in _FUNCTIONS or bool(_CLASS.fullmatch(name) and not _APART.search(name))


def write_estimator(model: object) -> bytes:
    """The estimator as a skops file.

    Raises:
        InvalidInputError: it holds something that is not from scikit-learn, numpy or scipy; the message names it.
    """
    try:
        content = skops.io.dumps(model)
    except (UnsupportedTypeException, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise InvalidInputError(f"this model cannot be saved safely: {error}", hint=_WAY_OUT) from error
    _check_types(content, "this model holds")
    return _with_stable_names(content)


def list_types(content: bytes) -> list[str]:
    """What a skops file holds that skops does not trust by itself."""
    found: list[str] = skops.io.get_untrusted_types(data=content)
    return sorted(found)


def read_estimator(content: bytes) -> Any:
    """The estimator of a skops file.

    Raises:
        InvalidInputError: the file holds a type that is not trusted.
        CorruptDataError: it is no such file.
    """
    try:
        trusted = _check_types(content, "the model file holds")
        estimator = skops.io.loads(content, trusted=trusted)
        check_trees(estimator)
        return estimator
    except (InvalidInputError, CorruptDataError):
        raise
    except Exception as error:  # skops meets damaged files with whatever its parser stumbles over
        raise CorruptDataError(f"the model file cannot be read: {error}") from error


_WAY_OUT = (
    "keep to estimators and functions of scikit-learn, numpy and scipy; write a transformation of your own as a step "
    "before the model, or with scikit-learn's transformers"
)


def _check_types(content: bytes, what: str) -> list[str]:
    """What skops does not trust by itself, all of it known to be harmless."""
    found = list_types(content)
    refused = [name for name in found if not is_trusted(name)]
    if refused:
        raise InvalidInputError(f"{what} {', '.join(refused)}, which could run any code", hint=_WAY_OUT)
    return found


def _with_stable_names(content: bytes) -> bytes:
    """The same file with objects numbered as they occur: skops names them by address, and notes the time."""
    with zipfile.ZipFile(io.BytesIO(content)) as held:
        files = {name: held.read(name) for name in held.namelist()}
    numbers: dict[str, str] = {}

    def renumber(match: re.Match[str]) -> str:
        return match[1] + numbers.setdefault(match[2], str(len(numbers) + 1))

    schema = _ADDRESS.sub(renumber, json.dumps(json.loads(files.pop("schema.json")), indent=1))
    stable = {_rename(name, numbers): data for name, data in files.items()}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for name in sorted(stable):
            written.writestr(zipfile.ZipInfo(name, _EPOCH), stable[name])
        written.writestr(zipfile.ZipInfo("schema.json", _EPOCH), schema)
    return target.getvalue()


def _rename(name: str, numbers: dict[str, str]) -> str:
    stem, dot, ending = name.partition(".")
    return numbers.get(stem, stem) + dot + ending

"""The names that the protocol allows to metrics, parameters and tags."""

import posixpath
import re

from penstock.server.protocols.mlflow.errors import invalid, missing
from penstock.tracking.names import KEY_LIMIT, check_key

_KEY = re.compile(r"[/\w.\- :]+")
_REMEMBERED = 10_000  # keys
_known: set[str] = set()  # that were looked at before: a training logs the same few again and again


def check_name(key: str, parameter: str) -> str:
    """The key itself, when a metric, parameter or tag may have it: a path in its normal form.

    Raises:
        InvalidInputError: it is anything else.
    """
    if key not in _known:
        _check_new(key, parameter)
        if len(_known) < _REMEMBERED:
            _known.add(key)
    return key


def _check_new(key: str, parameter: str) -> None:
    if not key:
        raise missing(parameter)
    if not _KEY.fullmatch(key):
        allowed = "letters, digits, underscores (_), dashes (-), periods (.), spaces ( ), colons (:) and slashes (/)"
        raise invalid(parameter, key, f"Names may only contain {allowed}.")
    if posixpath.normpath(key) != key or key.startswith(("/", "..")) or key == ".":
        normal = posixpath.normpath(f"/{key}").strip("/") or "accuracy"
        raise invalid(parameter, key, f"Names must be their own normal form as a path, such as {normal!r}.")
    if len(key) > KEY_LIMIT:
        raise invalid(parameter, key, f"its length of {len(key)} exceeds the maximum length of {KEY_LIMIT} characters")
    check_key(key, parameter)

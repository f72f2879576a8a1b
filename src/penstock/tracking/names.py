"""What keys and values may look like; nothing is cut or re-encoded, only refused."""

import re

from penstock.core.errors import InvalidInputError
from penstock.core.ids import check_name

KEY_LIMIT = 250  # characters; MLflow's limit as well
EXPERIMENT_NAME_LIMIT = 500  # characters
VALUE_LIMIT = 100_000  # characters; as long as any of MLflow's, and never cut
RUN_ID_LIMIT = 64  # characters
# Looked for only where a text is not plain ASCII: most are, and that is known at once.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # PostgreSQL has no NUL in text, UTF-8 no lone surrogates


def check_key(key: str, field: str) -> str:
    """The key itself, when a metric, parameter, tag, run or experiment may have it.

    Raises:
        InvalidInputError: it is empty, too long, holds control characters, or would lead elsewhere as part of a URL.
    """
    if not key or len(key) > KEY_LIMIT or _is_unprintable(key) or ("." in key and _leads_elsewhere(key)):
        raise InvalidInputError(
            f"{field}: {_short(key)} cannot be used as a name",
            hint=f"use 1 to {KEY_LIMIT} characters, without control characters, and no '.' or '..' between slashes",
            field=field,
        )
    return key


def check_run_id(run_id: str) -> str:
    """The id itself, when a caller may choose it for a run.

    Raises:
        InvalidInputError: it is too long, or holds other than letters, digits, `_`, `.` and `-`.
    """
    if len(run_id) > RUN_ID_LIMIT:
        raise InvalidInputError(
            f"the run id {_short(run_id)} is too long", hint=f"use up to {RUN_ID_LIMIT} characters", field="run_id"
        )
    return check_name(run_id, "run")


def check_value(value: str, field: str) -> str:
    """The text itself, when it may be the value of a parameter or tag.

    Raises:
        InvalidInputError: it is too long, or no database could keep it.
    """
    if len(value) > VALUE_LIMIT:
        raise InvalidInputError(
            f"{field}: the value has {len(value)} characters and {VALUE_LIMIT} are allowed",
            hint="log long texts as an artifact",
            field=field,
        )
    if "\x00" in value or (not value.isascii() and _UNSTORABLE.search(value)):
        raise InvalidInputError(f"{field}: the value holds a NUL character or half a surrogate pair", field=field)
    return value


def check_experiment_name(name: str) -> str:
    """The name itself, when an experiment may have it.

    Raises:
        InvalidInputError: it is empty, too long, or holds control characters.
    """
    if not name or len(name) > EXPERIMENT_NAME_LIMIT or _is_unprintable(name):
        raise InvalidInputError(
            f"Invalid experiment name: {_short(name)}",
            hint=f"use 1 to {EXPERIMENT_NAME_LIMIT} characters, without control characters",
            field="name",
        )
    return name


def check_texts(texts: dict[str, str], what: str) -> dict[str, str]:
    """The parameters or tags themselves, when each key and value can be kept.

    Raises:
        InvalidInputError: one cannot; `field` names it.
    """
    for key, value in texts.items():
        check_key(key, what)
        try:
            check_value(value, what)
        except InvalidInputError:
            check_value(value, f"{what}[{key!r}]")  # the same refusal, and where
    return texts


def _is_unprintable(text: str) -> bool:
    return not (text.isascii() and text.isprintable()) and _UNPRINTABLE.search(text) is not None


def _leads_elsewhere(key: str) -> bool:
    """Whether it would, as a part of a URL."""
    return not {".", ".."}.isdisjoint(key.split("/"))


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")

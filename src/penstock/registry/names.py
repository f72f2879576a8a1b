"""How people name a model version: `models:/churn@champion`, `models:/churn/3`, or an alias or number alone.

And what names, tags and texts of the registry may look like.
"""

import posixpath
import re

from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.tracking.names import check_key

LATEST = "latest"
NAME_LIMIT = 250  # characters
ALIAS_LIMIT = 255
TAG_LIMIT = 100_000  # characters of a value; MLflow's limit as well
URI_LIMIT = 500
_URI = re.compile(r"models:/(?P<model>[^/]+?)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+|latest))?")
_ALIAS = re.compile(r"[\w.\-]+")
_VERSION = re.compile(r"v[0-9]+|latest", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # PostgreSQL has no NUL in text, UTF-8 no lone surrogates


class VersionName(Struct, frozen=True):
    """A model with a version's number or an alias; with neither, its latest version is meant."""

    model: str
    version: int | None = None
    alias: str = ""


def parse_version_name(name: str, model: str = "") -> VersionName:
    """What a name of a version means.

    Args:
        name: `models:/NAME@ALIAS`, `models:/NAME/NUMBER`, `models:/NAME/latest`, or, of the given model, an alias,
            a number or `latest`.
        model: the model, for names that do not say it.

    Raises:
        InvalidInputError: it is none of these.
    """
    match = _URI.fullmatch(name)
    if match:
        model, alias, version = match["model"], match["alias"] or "", match["version"]
    elif model and ":" not in name and "/" not in name:
        is_number = name.isascii() and name.isdigit()
        alias, version = ("", name) if is_number or name == LATEST else (name.removeprefix("@"), None)
    else:
        raise InvalidInputError(
            f"{name!r} names no model version",
            hint="write models:/NAME@ALIAS or models:/NAME/NUMBER, as in models:/churn@champion",
            field="name",
        )
    number = None if version in (None, LATEST) else int(str(version)[:18])
    return VersionName(model, number, alias)


def check_model_name(name: str) -> str:
    """The name itself, when a client may give it to a model: more is allowed here than `check_name` allows.

    Raises:
        InvalidInputError: it is blank, too long, or would mean something else as part of a URI.
    """
    if not name.strip():
        raise InvalidInputError("a model needs a name that is not blank", field="name")
    if "/" in name or ":" in name:
        raise InvalidInputError(f"Invalid model name '{name[:300]}'. Names cannot contain '/' or ':'.", field="name")
    if len(name) > NAME_LIMIT:
        raise InvalidInputError(
            f"the model name has {len(name)} characters", hint=f"use up to {NAME_LIMIT}", field="name"
        )
    if _UNPRINTABLE.search(name) or name.startswith("..") or posixpath.normpath(name) != name or name == ".":
        raise InvalidInputError(
            f"{name!r} cannot name a model",
            hint="use printable characters, and neither '.' alone nor '..' in front",
            field="name",
        )
    return name


def check_alias(alias: str) -> str:
    """The alias itself, when it cannot be taken for a version.

    Raises:
        InvalidInputError: it can, or holds other than letters, digits, `_`, `.` and `-`.
    """
    if _VERSION.fullmatch(alias):
        raise InvalidInputError(
            f"{alias!r} cannot be an alias, as it reads like a version; it is reserved",
            hint="choose a word",
            field="alias",
        )
    if len(alias) > ALIAS_LIMIT or not _ALIAS.fullmatch(alias) or alias in (".", ".."):
        raise InvalidInputError(
            f"Invalid alias name: {alias[: ALIAS_LIMIT + 1]!r}",
            hint=f"names of aliases may only contain letters, digits, '_', '.' and '-', up to {ALIAS_LIMIT} of them",
            field="alias",
        )
    return alias


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """The tags themselves, when each can be kept.

    Raises:
        InvalidInputError: one cannot; the message names it.
    """
    for key, value in tags.items():
        check_text(value, f"tags[{check_key(key, 'tags')!r}]", TAG_LIMIT)
    return tags


def check_text(text: str, field: str, limit: int = TAG_LIMIT) -> str:
    """The text itself, when it can be kept whole.

    Raises:
        InvalidInputError: it is too long, or no database could keep it.
    """
    if len(text) > limit:
        raise InvalidInputError(
            f"'{field}' exceeds the maximum length of {limit} characters", hint=f"it has {len(text)}", field=field
        )
    if _UNSTORABLE.search(text):
        raise InvalidInputError(f"{field}: the text holds a NUL character or half a surrogate pair", field=field)
    return text


def version_uri(model: str, name: str) -> str:
    """The URI of a version that is named by its number or an alias of its model."""
    return f"models:/{model}/{name}" if name.isdigit() else f"models:/{model}@{name.removeprefix('@')}"

"""How people name a model version: `models:/churn@champion`, `models:/churn/3`, or an alias or number alone."""

import re

from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.ids import check_name

LATEST = "latest"
_URI = re.compile(r"models:/(?P<model>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+|latest))?")
_NUMBER = re.compile(r"v?[0-9]+")


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


def check_alias(alias: str) -> str:
    """The alias itself, when it cannot be taken for a number.

    Raises:
        InvalidInputError: it can, or holds characters that no name may hold.
    """
    if _NUMBER.fullmatch(alias) or alias == LATEST:
        raise InvalidInputError(
            f"{alias!r} cannot be an alias, as it reads like a version", hint="choose a word", field="alias"
        )
    return check_name(alias, "alias")

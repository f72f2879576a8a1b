"""Figures and plain values as the bytes of a file; the ending of its name says which kind."""

import io
from pathlib import PurePosixPath
from typing import Any

import msgspec
import yaml

from penstock.core.errors import InvalidInputError


def render_value(value: object, path: str) -> bytes:
    """A dict or list as JSON, or as YAML where the name ends so."""
    try:
        plain = msgspec.to_builtins(value, enc_hook=_plain)
    except TypeError as error:
        raise InvalidInputError(f"{path}: {error}", hint="use dicts, lists, texts and numbers") from error
    if ending_of(path) in ("yaml", "yml"):
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode()
    return msgspec.json.format(msgspec.json.encode(plain), indent=2)


def render_figure(figure: Any, path: str) -> bytes:
    """A figure of matplotlib in the format of its name, or one of plotly as HTML."""
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=ending_of(path) or "png")
        return buffer.getvalue()
    if hasattr(figure, "to_html"):
        text: str = figure.to_html(include_plotlyjs="cdn")
        return text.encode()
    raise InvalidInputError(f"{path}: {type(figure).__name__} is no figure of matplotlib or plotly")


def ending_of(path: str) -> str:
    """The ending of a file's name, without its dot."""
    return PurePosixPath(path).suffix.removeprefix(".").lower()


def _plain(value: Any) -> object:
    if hasattr(value, "tolist"):  # arrays and scalars of numpy and torch
        return value.tolist()
    return str(value)

"""Reads the JSON bodies of requests into records; broken JSON is a 400, a wrong field a 422 that names it."""

from typing import TypeVar

import msgspec

from penstock.core import codec
from penstock.serving.http import BadRequestError

T = TypeVar("T")


def decode_body(body: bytes, kind: type[T]) -> T:
    """A body as a record.

    Raises:
        BadRequestError: it is no JSON, or nested too deep.
        InvalidInputError: a field is missing, unknown or of another type.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise codec.explain(error, kind) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"the body is not valid JSON: {error}") from error

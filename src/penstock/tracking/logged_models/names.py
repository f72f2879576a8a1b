"""What ids, names and texts of logged models may look like."""

import re

from penstock.core.errors import InvalidInputError
from penstock.tracking.names import check_value

NAME_LIMIT = 500  # characters
MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_UNUSABLE = re.compile(r"[/:.%\"'\x00-\x1f\x7f\ud800-\udfff]")


def check_model_id(model_id: str) -> str:
    """The id itself, when a caller may choose it; InvalidInputError where not."""
    if not MODEL_ID.fullmatch(model_id):
        raise InvalidInputError(
            f"{model_id[:100]!r} is no id of a logged model", hint="it is m- and 32 hexadecimal digits", field="id"
        )
    return model_id


def check_model_name(name: str) -> str:
    """The name itself, when a logged model may have it; InvalidInputError where not."""
    if not name or len(name) > NAME_LIMIT or _UNUSABLE.search(name):
        shown = name if len(name) <= 80 else name[:77] + "..."
        raise InvalidInputError(
            f"Invalid model name ({shown!r}) provided",
            hint=f"use up to {NAME_LIMIT} characters, without / : . % \" ' and control characters",
            field="name",
        )
    return name


def check_text(text: str, field: str, limit: int = NAME_LIMIT) -> str:
    """The text itself, when any database keeps it; InvalidInputError where it is longer than so many characters."""
    check_value(text, field)
    if len(text) > limit:
        raise InvalidInputError(f"{field} has {len(text)} characters and {limit} are allowed", field=field)
    return text

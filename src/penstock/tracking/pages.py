"""Where the next page of a search begins, in searches whose order is the caller's."""

from penstock.core.errors import InvalidInputError


def read_offset(after: str) -> int:
    """How many results the pages before had; empty means this is the first page.

    Raises:
        InvalidInputError: no search gave this out.
    """
    if after and not (after.isascii() and after.isdecimal() and len(after) < 10):
        raise InvalidInputError(f"{after[:80]!r} is no page of this search", hint="begin anew", field="after")
    return int(after or 0)

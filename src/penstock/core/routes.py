"""The operations of the HTTP API as data: server, client and OpenAPI page all read the same table."""

import re
from typing import Protocol

from msgspec import Struct

from penstock.core.identity import Role

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")


class Operation(Protocol):
    """What a route leads to: a verb of a service, known by its name and signature."""

    name: str
    doc: str
    is_read: bool


class Route(Struct, frozen=True):
    """One operation over HTTP.

    Path parameters and, for GET, query parameters become arguments of the verb; otherwise the JSON body does.
    A parameter written `{name:path}` may hold slashes.
    """

    method: str
    path: str  # below /api/v1
    verb: Operation
    needs: Role

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names in braces, in order."""
        return tuple(_PARAMETER.findall(self.path))

"""The records of tokens, without their secrets."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

RoleName = Literal["reader", "contributor", "maintainer", "admin"]


class Token(Struct, frozen=True, kw_only=True):
    """Who may come in with a token, and how long."""

    id: str  # stands in the token itself, and is no secret
    name: str  # of whoever uses it; the actor of the audit log
    role: RoleName
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None  # None: never
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None  # to the minute


class NewToken(Struct, frozen=True, kw_only=True):
    """A token with its secret, which is shown once and kept nowhere."""

    token: Token
    secret: str  # the whole text to show, `pst_...`

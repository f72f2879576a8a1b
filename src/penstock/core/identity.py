"""Who acts, and how much they may do."""

import getpass
from enum import IntEnum

from msgspec import Struct


class Role(IntEnum):
    """What an actor may do; each role includes the ones before it."""

    NOBODY = 0  # routes open to everyone: health, readiness
    READER = 1  # look at everything
    CONTRIBUTOR = 2  # log runs, add data, send outcomes, start pipelines
    MAINTAINER = 3  # move aliases, deploy, roll back
    ADMIN = 4  # tokens, roles, the store itself


class Actor(Struct, frozen=True):
    """A person or a process of penstock; its name stands in every audit event."""

    name: str
    role: Role = Role.READER


def local_actor() -> Actor:
    """The user of this machine, who owns the local project."""
    try:
        return Actor(getpass.getuser(), Role.ADMIN)
    except (KeyError, OSError):  # no such user in this container
        return Actor("local", Role.ADMIN)
